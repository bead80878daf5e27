// SPDX-License-Identifier: MIT
// What an allocator that is not walked counts itself.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace memdrift {

// As jemalloc counts: each is a part of the next one, but for retained.
struct OwnStatistics {
  uint64_t allocated_bytes;  // by the program, with what threads' caches keep
  uint64_t active_bytes;     // in pages with at least one block in use
  uint64_t resident_bytes;
  uint64_t retained_bytes;  // addresses that are kept without memory
};

// Of the jemalloc that this process uses; nothing where it was built without statistics.
std::optional<OwnStatistics> readJemalloc();

// A sentence with mimalloc's count of what it has from the kernel; "" where it has none.
std::string describeMimalloc();

}  // namespace memdrift
