// SPDX-License-Identifier: MIT
#include "analysis/code_names.h"

#include <charconv>

namespace memdrift {

namespace {

constexpr std::string_view kFunctionPrefix = "JS:";

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
  if (!code_name.starts_with(kFunctionPrefix)) {
    name.function = code_name;
    return name;
  }
  name.is_js = true;
  std::string_view text = code_name.substr(kFunctionPrefix.size());
  // The compiler that made it, and since V8 13 whether it was inlined into itself or the like.
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
