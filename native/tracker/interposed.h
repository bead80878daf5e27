// SPDX-License-Identifier: MIT
// A function whose calls come to a hook.
#pragma once

#include <cstdint>

namespace memdrift {

struct Interposed {
  const char* name;
  void* hook;
  void* real;  // null where this process has no such function

  uintptr_t hookAddress() const noexcept { return reinterpret_cast<uintptr_t>(hook); }
  uintptr_t realAddress() const noexcept { return reinterpret_cast<uintptr_t>(real); }
};

// The function that `name` is for the program: that of a preloaded allocator, if there is one.
// Null: there is none.
void* realFunction(const char* name);

}  // namespace memdrift
