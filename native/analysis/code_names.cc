// SPDX-License-Identifier: MIT
#include "analysis/code_names.h"

#include <charconv>

namespace memdrift {

namespace {

// Of functions, of a script's own code and of what eval() was given.
constexpr std::string_view kJsPrefixes[] = {"JS:", "Script:", "Eval:"};

// The prefix's length; 0: it is none of JavaScript.
size_t jsPrefixBytes(std::string_view code_name) {
  for (const std::string_view prefix : kJsPrefixes)
    if (code_name.starts_with(prefix)) return prefix.size();
  return 0;
}

// Takes ":12" off the end of `text`; false when there is no number there.
bool takeNumber(std::string_view& text, uint32_t& number) {
  const size_t colon = text.rfind(':');
  if (colon == std::string_view::npos || colon + 1 == text.size()) return false;
  const char* begin = text.data() + colon + 1;
  const char* end = text.data() + text.size();
  uint32_t value = 0;
  const auto [after, problem] = std::from_chars(begin, end, value);
  if (problem != std::errc() || after != end) return false;
  number = value;
  text = text.substr(0, colon);
  return true;
}

// Where the name of a function ends and that of its file begins: both may have spaces in them.
size_t fileStart(std::string_view text) {
  for (size_t at = text.find(' '); at != std::string_view::npos; at = text.find(' ', at + 1)) {
    const std::string_view rest = text.substr(at + 1);
    for (const std::string_view start :
         {"/", "file:", "node:", "data:", "http:", "https:", "blob:"})
      if (rest.starts_with(start)) return at;
  }
  return text.rfind(' ');
}

}  // namespace

FunctionName functionNameOf(std::string_view code_name) {
  FunctionName name;
  const size_t prefix_bytes = jsPrefixBytes(code_name);
  if (prefix_bytes == 0) {
    name.function = code_name;
    return name;
  }
  name.is_js = true;
  std::string_view text = code_name.substr(prefix_bytes);
  // The compiler that made it, and since V8 13 whether it was inlined into itself or the like.
  // Code that a loop was replaced by while it ran has an o before it, since V8 14.
  if (text.starts_with("o+") || text.starts_with("o*")) text.remove_prefix(1);
  while (!text.empty() && std::string_view("~^+*'").find(text.front()) != std::string_view::npos)
    text.remove_prefix(1);
  std::string_view located = text;
  if (takeNumber(located, name.column) && takeNumber(located, name.line))
    text = located;
  else
    name.line = name.column = 0;
  const size_t space = fileStart(text);
  if (space == std::string_view::npos) {
    name.function = text;
    return name;
  }
  name.function = text.substr(0, space);
  name.file = text.substr(space + 1);
  return name;
}

}  // namespace memdrift
