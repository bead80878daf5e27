// SPDX-License-Identifier: MIT
#include "capture/chunk_pool.h"

#include <sys/mman.h>

#include <algorithm>

#include "capture/own_mappings.h"
#include "errors.h"

namespace memdrift {

namespace {

// Chunks that are written again without faults: a megabyte of a process that allocates fast.
constexpr size_t kWarmBytes = 1 << 20;

template <typename Element>
Element* reserve(size_t count) {
  void* memory = OwnMappings::map(count * sizeof(Element), MAP_NORESERVE);
  if (memory == MAP_FAILED) throw Error::fromErrno("mmap", "the capture's buffers");
  return static_cast<Element*>(memory);
}

}  // namespace

ChunkPool::ChunkPool(size_t max_bytes)
    : block_count_(static_cast<uint32_t>(
          std::clamp(max_bytes / kBlockBytes, size_t{2}, size_t{UINT32_MAX / kBlockUnits - 1}))) {
  memory_ = reserve<uint8_t>(bytes());
  // Pages of zeros are atomics of 0.
  next_free_ = reserve<std::atomic<uint32_t>>(size_t{block_count_} * kBlockUnits + 1);
  sizes_ = reserve<std::atomic<uint8_t>>(size_t{block_count_} * kBlockUnits + 1);
}

ChunkPool::~ChunkPool() {
  const size_t numbers = size_t{block_count_} * kBlockUnits + 1;
  OwnMappings::unmap(memory_, bytes());
  OwnMappings::unmap(next_free_, numbers * sizeof *next_free_);
  OwnMappings::unmap(sizes_, numbers * sizeof *sizes_);
}

uint32_t ChunkPool::pop(uint32_t size) noexcept {
  uint64_t head = free_[size].load(std::memory_order_acquire);
  while (const auto number = static_cast<uint32_t>(head)) {
    const uint64_t changes = (head >> 32) + 1;
    const uint64_t rest = changes << 32 | next_free_[number].load(std::memory_order_relaxed);
    if (!free_[size].compare_exchange_weak(head, rest, std::memory_order_acquire)) continue;
    return number;
  }
  return 0;
}

// A chain of chunks of one size, all linked except the last.
void ChunkPool::push(uint32_t first, uint32_t last, uint32_t size) noexcept {
  uint64_t head = free_[size].load(std::memory_order_relaxed);
  uint64_t changed;
  do {
    next_free_[last].store(static_cast<uint32_t>(head), std::memory_order_relaxed);
    changed = ((head >> 32) + 1) << 32 | first;
  } while (!free_[size].compare_exchange_weak(head, changed, std::memory_order_release,
                                              std::memory_order_relaxed));
}

uint32_t ChunkPool::freshBlock() noexcept {
  // Loaded before it is raised, so that it stays where it is while all are in use.
  if (fresh_.load(std::memory_order_relaxed) >= block_count_) return 0;
  const uint32_t before = fresh_.fetch_add(1, std::memory_order_relaxed);
  if (before >= block_count_) return 0;
  const uint32_t number = before * kBlockUnits + 1;
  sizes_[number].store(kLargestSize, std::memory_order_relaxed);
  return number;
}

// The parts of a chunk that was split stay apart: they serve every later need as well.
uint32_t ChunkPool::takeOrSplit(uint32_t size) noexcept {
  if (const uint32_t number = pop(size)) return number;
  if (size == kLargestSize) return freshBlock();
  const uint32_t whole = takeOrSplit(size + 1);
  if (whole == 0) return 0;
  const uint32_t units = kChunkBytes[size] / kUnitBytes;
  for (uint32_t part = 0; part < kParts; part++) {
    const uint32_t number = whole + part * units;
    sizes_[number].store(static_cast<uint8_t>(size), std::memory_order_relaxed);
    next_free_[number].store(number + units, std::memory_order_relaxed);
  }
  push(whole + units, whole + (kParts - 1) * units, size);
  return whole;
}

uint32_t ChunkPool::take(uint32_t size) noexcept {
  uint32_t number = takeOrSplit(size);
  while (number == 0 && size > 0) number = pop(--size);
  if (number == 0) return 0;
  const uint32_t bytes = kChunkBytes[sizeOf(number)];
  used_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  size_t warm = warm_bytes_.load(std::memory_order_relaxed);
  while (!warm_bytes_.compare_exchange_weak(warm, warm - std::min<size_t>(warm, bytes),
                                            std::memory_order_relaxed))
    continue;
  return number;
}

void ChunkPool::giveBack(uint32_t number) noexcept {
  const uint32_t size = sizeOf(number);
  const uint32_t bytes = kChunkBytes[size];
  if (warm_bytes_.load(std::memory_order_relaxed) + bytes > kWarmBytes)
    madvise(&(*this)[number], bytes, MADV_DONTNEED);
  else
    warm_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  used_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
  push(number, number, size);
}

}  // namespace memdrift
