// SPDX-License-Identifier: MIT
#pragma once

#include <string>

namespace memdrift {

// A symbol as its source has it ("v8::Isolate::Foo(int)"), or as it is where it is no name of C++.
std::string demangledName(const char* symbol);

}  // namespace memdrift
