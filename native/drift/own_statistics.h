// SPDX-License-Identifier: MIT
// Statistics of allocators whose memory memdrift does not walk.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

namespace memdrift {

// jemalloc's statistics: allocated is within active, active is within resident.
struct OwnStatistics {
  uint64_t allocated_bytes;  // by the program, with what threads' caches keep
  uint64_t active_bytes;     // in pages with at least one block in use
  uint64_t resident_bytes;
  uint64_t retained_bytes;  // addresses that are kept without memory
};

// Reads the statistics of this process's jemalloc; empty when it was built without them.
std::optional<OwnStatistics> readJemalloc();

// A sentence with mimalloc's count of what it has from the kernel; "" where it has none.
std::string describeMimalloc();

}  // namespace memdrift
