// SPDX-License-Identifier: MIT
#include "analysis/demangled_name.h"

#include <cxxabi.h>

#include <cstdlib>
#include <cstring>
#include <memory>

namespace memdrift {

std::string demangledName(const char* symbol) {
  // Anything else may be the code of a type: a function `f` of C would read `float`.
  if (strncmp(symbol, "_Z", 2) != 0) return symbol;
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(symbol, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? text.get() : symbol;
}

}  // namespace memdrift
