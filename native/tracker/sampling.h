// SPDX-License-Identifier: MIT
// Recording one allocation for many: every byte has the same chance, so that what a stack's samples
// stand for is, on average, what it allocated.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memdrift {

// How far it is to a thread's next sample. Exponential distances: of one byte in `mean_bytes`.
class SampleClock {
 public:
  // The bytes that a sample of a block of `bytes` stands for.
  static uint64_t weightOf(uint64_t bytes, uint64_t mean_bytes) noexcept;
  int64_t next(uint64_t mean_bytes) noexcept;
  void seed(uint64_t number) noexcept { state_ = number | 1; }

 private:
  uint64_t state_ = 1;
};

// The blocks that were sampled and are not free yet: a free of any other block must cost no more
// than one look. Any thread, in hooks: no heap, no lock.
class SampledBlocks {
 public:
  // Throws ERR_NO_MEMORY.
  SampledBlocks();
  ~SampledBlocks();
  SampledBlocks(const SampledBlocks&) = delete;
  SampledBlocks& operator=(const SampledBlocks&) = delete;

  // Empty, and with no memory of its own. While no hook uses it.
  void clear() noexcept;
  // False: there is no room for it, and it must not be recorded.
  bool add(uintptr_t address) noexcept;
  bool remove(uintptr_t address) noexcept;
  // True for all that are there, and for few that are not.
  bool mayHave(uintptr_t address) const noexcept {
    return filter_[filterPlace(address)].load(std::memory_order_relaxed) != 0;
  }

 private:
  static constexpr unsigned kFilterBits = 17;
  static constexpr unsigned kPlaceBits = 17;
  static constexpr size_t kPlaces = size_t{1} << kPlaceBits;
  // Places of removed blocks stay in the way of a search: it must end all the same.
  static constexpr size_t kMostProbes = 64;
  static constexpr uintptr_t kRemoved = 1;

  // One place for a page, and neighbours next to each other: what is freed after one another is
  // near, and a place for each block would be a cache miss at every free. Few pages have a sampled
  // block.
  static size_t filterPlace(uintptr_t address) noexcept {
    const uintptr_t page = address >> 12;
    return (page ^ page >> kFilterBits) & ((size_t{1} << kFilterBits) - 1);
  }
  static size_t home(uintptr_t address) noexcept {
    return (address >> 4) * 0xd1342543de82ef95U >> (64 - kPlaceBits);
  }

  std::atomic<uint16_t>* filter_;      // how many of those that are there have this place
  std::atomic<uintptr_t>* addresses_;  // 0: never used
};

}  // namespace memdrift
