// SPDX-License-Identifier: MIT
// Where glibc's malloc keeps what, on 64-bit machines, in 2.28 (the oldest that Node runs on) and
// later; tried with 2.31, 2.36, 2.41 and 2.43. None of it is an interface, so whoever uses it
// checks what it finds before believing it.
#pragma once

#include <cstdint>

namespace memdrift {

// A chunk: the size of the one before, if that is free; its own size, with flags; two links while
// it is free.
inline constexpr uint64_t kWordBytes = 8;
inline constexpr uint64_t kHeaderBytes = 16;
inline constexpr uint64_t kLeastChunkBytes = 32;
inline constexpr uint64_t kChunkAlignment = 16;
// A free chunk's header and all four links: what malloc_trim leaves at the front of each.
inline constexpr uint64_t kTrimKeepsBytes = 48;
// Initial values of M_MMAP_THRESHOLD, M_TRIM_THRESHOLD and M_TOP_PAD. Both thresholds rise when a
// larger mapped block is freed, unless one of them is set.
inline constexpr uint64_t kFirstThresholdBytes = 128 << 10;
// Where thresholds do not rise, malloc never keeps a block of this size at the end of an arena.
inline constexpr uint64_t kSurelyMappedBytes = 3 * kFirstThresholdBytes;
inline constexpr uint64_t kBeforeIsInUse = 1;
inline constexpr uint64_t kIsMapped = 2;
inline constexpr uint64_t kIsOfThreadArena = 4;
inline constexpr uint64_t kChunkFlags = 7;

// The state of an arena, from its beginning.
struct StateLayout {
  unsigned fast_bins;
  uint64_t top_at, bins_at, next_at, system_bytes_at, most_system_bytes_at, bytes;
};
inline constexpr StateLayout kStateSince228 = {10, 0x60, 0x70, 0x870, 0x888, 0x890, 0x898};
inline constexpr StateLayout kStateSince243 = {0, 0x08, 0x18, 0x818, 0x830, 0x838, 0x840};
inline constexpr uint64_t kStateFlagsAt = 4;  // 4 bytes
inline constexpr uint32_t kIsScattered = 2;
inline constexpr uint64_t kFastBinsAt = 0x10;
inline constexpr unsigned kBins = 127;  // of two links each

// What an arena of threads is made of begins at multiples of this. glibc.malloc.hugetlb=2 has
// others, in hugetlbfs, which no RSS counts.
inline constexpr uint64_t kMostHeapBytes = 64 << 20;
// The front of each: its arena, the one that the arena had before, bytes in use, bytes that were
// ever made writable. 2.35 has a page size behind them.
inline constexpr uint64_t kHeapArenaAt = 0;
inline constexpr uint64_t kHeapBeforeAt = 8;
inline constexpr uint64_t kHeapBytesAt = 16;
inline constexpr uint64_t kHeapWritableAt = 24;
inline constexpr uint64_t kHeapFrontBytes = 0x20;
inline constexpr uint64_t kHeapFrontBytes235 = 0x30;

// What differs by version and cannot be told by looking.
struct MallocVersion {
  unsigned minor;

  const StateLayout& state() const { return minor >= 43 ? kStateSince243 : kStateSince228; }

  // What a block that is a mapping of its own has beside its size.
  uint64_t mappedFrontBytes() const { return minor >= 43 ? kHeaderBytes : 0; }

  // Links of single lists are mixed with where they are.
  bool hasMixedLinks() const { return minor >= 32; }
  uint64_t link(uint64_t at, uint64_t word) const {
    return hasMixedLinks() ? (at >> 12) ^ word : word;
  }

  // A thread's cache: a count per bin, then a list per bin. 2.42 counts what there is still room
  // for, and adds bins of large blocks.
  unsigned cacheBins() const { return minor >= 42 ? 76 : 64; }
  unsigned countBytes() const { return minor >= 30 ? 2 : 1; }
  bool countsBlocks() const { return minor < 42; }
  uint64_t cacheBytes() const { return cacheBins() * (countBytes() + kWordBytes); }
  uint64_t cacheChunkBytes() const {
    return (cacheBytes() + kWordBytes + kChunkAlignment - 1) & ~(kChunkAlignment - 1);
  }
};
// Bins of a cache with blocks of one size each; those behind are of ranges of sizes.
inline constexpr unsigned kSmallCacheBins = 64;

}  // namespace memdrift
