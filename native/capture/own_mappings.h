// SPDX-License-Identifier: MIT
// Memory of ours that is mapped and unmapped in hooks too, where no lock may be waited for and no
// heap taken. The total is exact, so that it has a row; addresses are known as far as they fit the
// list.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memdrift {

class OwnMappings {
 public:
  // Pages of zeros, taken when they are first written; MAP_FAILED: there are none.
  static void* map(size_t bytes, int more_flags = 0) noexcept {
    void* const data = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | more_flags, -1, 0);
    if (data != MAP_FAILED) note(reinterpret_cast<uint64_t>(data), bytes);
    return data;
  }

  static void unmap(void* data, size_t bytes) noexcept {
    for (Entry& entry : entries_) {
      if (entry.start.load(std::memory_order_relaxed) != reinterpret_cast<uint64_t>(data)) continue;
      entry.bytes.store(0, std::memory_order_relaxed);
      entry.start.store(0, std::memory_order_release);
      munmap(data, bytes);
      return;
    }
    unlisted_bytes_.fetch_sub(bytes, std::memory_order_relaxed);
    munmap(data, bytes);
  }

  template <typename F>
  static void forEach(F&& f) {
    for (const Entry& entry : entries_) {
      const uint64_t start = entry.start.load(std::memory_order_acquire);
      const uint64_t bytes = entry.bytes.load(std::memory_order_acquire);
      if (start != 0 && bytes != 0) f(reinterpret_cast<const void*>(start), bytes);
    }
  }

  // Returns the bytes of mappings that the list has no place for.
  static uint64_t unlistedBytes() noexcept {
    return unlisted_bytes_.load(std::memory_order_relaxed);
  }

 private:
  struct Entry {
    std::atomic<uint64_t> start, bytes;
  };

  static void note(uint64_t start, size_t bytes) noexcept {
    for (Entry& entry : entries_) {
      uint64_t free = 0;
      if (!entry.start.compare_exchange_strong(free, start, std::memory_order_acq_rel)) continue;
      entry.bytes.store(bytes, std::memory_order_release);
      return;
    }
    unlisted_bytes_.fetch_add(bytes, std::memory_order_relaxed);
  }

  inline static Entry entries_[2048];
  inline static std::atomic<uint64_t> unlisted_bytes_{0};
};

}  // namespace memdrift
