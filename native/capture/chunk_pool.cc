// SPDX-License-Identifier: MIT
#include "capture/chunk_pool.h"

#include <sys/mman.h>

#include <algorithm>

#include "capture/own_mappings.h"
#include "errors.h"

namespace memdrift {

namespace {

// Chunks that are written again without faults: a megabyte of a process that allocates fast.
constexpr uint32_t kWarmChunks = 4;

uint8_t* reserve(size_t bytes) {
  void* memory = OwnMappings::map(bytes, MAP_NORESERVE);
  if (memory == MAP_FAILED) throw Error::fromErrno("mmap", "the capture's buffers");
  return static_cast<uint8_t*>(memory);
}

size_t linksBytes(uint32_t count) { return (count + 1) * sizeof(std::atomic<uint32_t>); }

}  // namespace

ChunkPool::ChunkPool(size_t max_bytes)
    : count_(static_cast<uint32_t>(
          std::clamp(max_bytes / kChunkBytes, size_t{2}, size_t{UINT32_MAX - 1}))) {
  memory_ = reserve(count_ * kChunkBytes);
  // Pages of zeros are atomics of 0.
  next_free_ = reinterpret_cast<std::atomic<uint32_t>*>(reserve(linksBytes(count_)));
}

ChunkPool::~ChunkPool() {
  OwnMappings::unmap(memory_, count_ * kChunkBytes);
  OwnMappings::unmap(next_free_, linksBytes(count_));
}

uint32_t ChunkPool::take() noexcept {
  uint64_t head = free_.load(std::memory_order_acquire);
  while (const auto number = static_cast<uint32_t>(head)) {
    const uint64_t changes = (head >> 32) + 1;
    const uint64_t rest = changes << 32 | next_free_[number].load(std::memory_order_relaxed);
    if (!free_.compare_exchange_weak(head, rest, std::memory_order_acquire)) continue;
    free_count_.fetch_sub(1, std::memory_order_relaxed);
    return number;
  }
  // Loaded before it is raised, so that it stays where it is while all are in use.
  if (fresh_.load(std::memory_order_relaxed) >= count_) return 0;
  const uint32_t before = fresh_.fetch_add(1, std::memory_order_relaxed);
  return before < count_ ? before + 1 : 0;
}

void ChunkPool::giveBack(uint32_t number) noexcept {
  if (free_count_.load(std::memory_order_relaxed) >= kWarmChunks)
    madvise(&(*this)[number], kChunkBytes, MADV_DONTNEED);
  free_count_.fetch_add(1, std::memory_order_relaxed);
  uint64_t head = free_.load(std::memory_order_relaxed);
  uint64_t changed;
  do {
    next_free_[number].store(static_cast<uint32_t>(head), std::memory_order_relaxed);
    changed = ((head >> 32) + 1) << 32 | number;
  } while (!free_.compare_exchange_weak(head, changed, std::memory_order_release,
                                        std::memory_order_relaxed));
}

}  // namespace memdrift
