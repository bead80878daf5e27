// SPDX-License-Identifier: MIT
// Names of code that V8 made, as it writes them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace memdrift {

// A function as V8's name for its code says it: "JS:*name file:line:column".
struct FunctionName {
  std::string function;  // empty: it has no name
  std::string file;      // empty: not from a file
  uint32_t line = 0;     // where its definition begins; 0: not told
  uint32_t column = 0;
  bool is_js = false;  // false: a builtin or another piece of V8's own code
};
FunctionName functionNameOf(std::string_view code_name);

}  // namespace memdrift
