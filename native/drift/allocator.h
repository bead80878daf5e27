// SPDX-License-Identifier: MIT
// Whose malloc this process uses.
#pragma once

#include <string>
#include <vector>

#include "drift/malloc_layout.h"
#include "proc/pagemap.h"

namespace memdrift {

struct Allocator {
  std::string name;  // "glibc 2.36", "jemalloc", the name of a file
  bool is_glibc;     // and so laid out as malloc_layout.h has it
  MallocVersion version;
  std::vector<AddressRange> data;  // of the C library, where the main arena's state is
};

Allocator findAllocator();

}  // namespace memdrift
