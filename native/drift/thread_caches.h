// SPDX-License-Identifier: MIT
// What is in threads' caches: blocks that the program has freed and that still look in use. The
// caches are found by their size and what is in them, since only their threads know where they are.
#pragma once

#include <cstdint>

#include "drift/arena_finder.h"
#include "drift/malloc_layout.h"
#include "drift/walk_result.h"

namespace memdrift {

class ThreadCaches {
 public:
  explicit ThreadCaches(ArenaFinder& finder) : finder_(finder), version_(finder.version()) {}

  bool init();  // false: no memory
  // A chunk in use whose size, with its header, is that of a cache.
  uint64_t chunkBytes() const { return chunk_bytes_; }
  void addCandidate(uint64_t chunk);
  // After all chunks are counted: takes what is cached out of what is in use.
  void count(WalkResult& result);

 private:
  bool isCache(uint64_t cache);
  bool isList(uint64_t cache, unsigned bin);
  void countCache(uint64_t cache, WalkResult& result);
  uint64_t headOf(uint64_t cache, unsigned bin) const;
  uint64_t countOf(uint64_t cache, unsigned bin) const;
  uint64_t afterOf(uint64_t block) const {
    return version_.link(block, FrozenMemory::wordAt(block));
  }
  static uint64_t sizeOf(uint64_t block) {
    return FrozenMemory::wordAt(block - kWordBytes) & ~kChunkFlags;
  }

  ArenaFinder& finder_;
  MallocVersion version_;
  uint64_t chunk_bytes_ = version_.cacheChunkBytes();
  uint64_t* candidates_ = nullptr;
  uint32_t count_ = 0;
};

}  // namespace memdrift
