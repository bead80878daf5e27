// SPDX-License-Identifier: MIT
// Hash tables in pages of their own: for hooks, which may not take from the heap that they watch.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "capture/own_mappings.h"

namespace memdrift {

// Keys to numbers. `Key` has hash() and ==. Entries are of a generation; those of another one are
// as good as not there. A table that cannot grow forgets all: a cache, no more.
template <typename Key, typename Value>
class PageTable {
 public:
  // Null when it is not there. The pointer holds until the next put.
  Value* find(const Key& key, uint32_t generation) noexcept {
    if (!entries_) return nullptr;
    for (size_t at = key.hash() & mask_;; at = (at + 1) & mask_) {
      Entry& entry = entries_[at];
      if (entry.generation == 0) return nullptr;
      if (entry.key == key && entry.generation == generation) return &entry.value;
    }
  }
  void put(const Key& key, uint32_t generation, const Value& value) noexcept {
    if (used_ * 2 >= capacity() && !grow(generation)) return;
    size_t at = key.hash() & mask_;
    while (entries_[at].generation != 0) at = (at + 1) & mask_;
    entries_[at] = {key, value, generation};
    used_++;
  }
  // A table that a jump out of a signal handler left while it grew is not unmapped: its size is
  // unknown.
  void clear() noexcept {
    Entry* const before = is_growing_ ? nullptr : entries_;
    const size_t count = capacity();
    entries_ = nullptr;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    used_ = mask_ = 0;
    is_growing_ = false;
    if (before) giveBack(before, count);
  }
  size_t bytes() const noexcept { return capacity() * sizeof(Entry); }

 private:
  static constexpr size_t kFirstCapacity = 1024;
  static constexpr size_t kMostEntries = 1 << 21;

  struct Entry {
    Key key;
    Value value;
    uint32_t generation;  // 0: empty
  };

  static void giveBack(Entry* entries, size_t count) noexcept {
    OwnMappings::unmap(entries, count * sizeof(Entry));
  }
  size_t capacity() const noexcept { return entries_ ? mask_ + 1 : 0; }

  // Takes over what is of `generation` only: old entries leave when there is no room for them.
  bool grow(uint32_t generation) noexcept {
    Entry* before = entries_;
    const size_t count = capacity();
    size_t live = 0;
    for (size_t i = 0; i < count; i++) live += before[i].generation == generation;
    size_t wanted = count == 0 ? kFirstCapacity : live * 4 > count ? count * 2 : count;
    const bool forgets = wanted > kMostEntries;
    if (forgets) wanted = kFirstCapacity;
    void* pages = OwnMappings::map(wanted * sizeof(Entry));
    if (pages == MAP_FAILED) return false;
    is_growing_ = true;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    entries_ = static_cast<Entry*>(pages);
    mask_ = wanted - 1;
    used_ = 0;
    for (size_t i = 0; i < count && !forgets; i++)
      if (before[i].generation == generation) put(before[i].key, generation, before[i].value);
    std::atomic_signal_fence(std::memory_order_seq_cst);
    is_growing_ = false;
    if (before) giveBack(before, count);
    return true;
  }

  Entry* entries_ = nullptr;
  size_t mask_ = 0;
  size_t used_ = 0;
  bool is_growing_ = false;
};

}  // namespace memdrift
