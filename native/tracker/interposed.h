// SPDX-License-Identifier: MIT
// A function whose calls are led to a hook.
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

// Returns the function that the program calls by `name`, which may be a preloaded allocator's; null
// when there is none.
void* realFunction(const char* name);

}  // namespace memdrift
