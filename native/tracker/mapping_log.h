// SPDX-License-Identifier: MIT
// What hooks did to mappings and threads' stacks, in one order for all threads, for the writer:
// it looks which of their pages are resident. Rare beside blocks, so that one queue does.
#pragma once

#include <sys/mman.h>

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "capture/event_decoder.h"
#include "capture/own_pages.h"

namespace memdrift {

// A bounded queue of many writers and one reader. Lock-free: a full queue refuses entries. It has
// much room, since a busy machine may delay the writer while a program makes a call each us. Pages
// of taken entries are given back, so that only waiting entries are resident.
class MappingLog {
 public:
  static constexpr size_t kEntries = 1 << 17;

  // Adds the fields of an event that say which pages it concerns. isWhole() reports a lost event.
  // Returns true when the writer should take() soon. Callable in hooks.
  bool put(const Event& event) noexcept {
    if (!tryPut(event, kEntries)) is_whole_.store(false, std::memory_order_relaxed);
    return isBusy();
  }

  // Adds a change of known mappings, and leaves half of the room to put(). The writer can do
  // without, at the cost of a look at all mappings. Returns as put(). Callable in hooks.
  bool putChange(const Event& event) noexcept {
    if (!tryPut(event, kEntries / 2)) lost_changes_.store(true, std::memory_order_relaxed);
    return isBusy();
  }

  // Returns true when changes were lost since the last call. For the writer only.
  bool takeLostChanges() noexcept {
    return lost_changes_.exchange(false, std::memory_order_relaxed);
  }

  // The writer's: the oldest, or false.
  bool take(Event& event) noexcept {
    const Entry& entry = entries_[taken_ % kEntries];
    if (entry.ready.load(std::memory_order_acquire) != taken_ + 1) return false;
    event = {};
    event.type = entry.type;
    event.is_file = entry.is_file;
    event.protection = entry.protection;
    event.flags = entry.flags;
    event.advice = entry.advice;
    event.address = entry.address;
    event.bytes = entry.bytes;
    event.old_address = entry.old_address;
    event.old_bytes = entry.old_bytes;
    taken_++;
    if (taken_ % kEntriesAtOnce == 0) giveBack();
    return true;
  }

  // Marks the log as incomplete: entries are missing, or a jump left one half made, which take()
  // never passes.
  void giveUp() noexcept { is_whole_.store(false, std::memory_order_relaxed); }

  bool isWhole() const noexcept { return is_whole_.load(std::memory_order_relaxed); }

 private:
  struct alignas(64) Entry {
    std::atomic<uint64_t> ready;  // the entry's number + 1 when filled; else smaller
    uint64_t address, bytes, old_address, old_bytes;
    uint32_t protection, flags, advice;
    EventType type;
    bool is_file;
  };
  static_assert(sizeof(Entry) == 64);

  // Entries that are given back together.
  static constexpr size_t kEntriesAtOnce = (64 << 10) / sizeof(Entry);

  bool isBusy() const noexcept {
    return next_.load(std::memory_order_relaxed) - free_.load(std::memory_order_relaxed) >
           kEntries / 8;
  }

  // `room`: the most entries that may wait.
  bool tryPut(const Event& event, size_t room) noexcept {
    uint64_t at = next_.load(std::memory_order_relaxed);
    do {
      // When other entries were taken meanwhile, `at` is stale and the exchange fails.
      const uint64_t free = free_.load(std::memory_order_acquire);
      if (at >= free && at - free >= room) return false;
    } while (!next_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed));
    Entry& entry = entries_[at % kEntries];
    entry.address = event.address;
    entry.bytes = event.bytes;
    entry.old_address = event.old_address;
    entry.old_bytes = event.old_bytes;
    entry.protection = event.protection;
    entry.flags = event.flags;
    entry.advice = event.advice;
    entry.type = event.type;
    entry.is_file = event.is_file;
    entry.ready.store(at + 1, std::memory_order_release);
    return true;
  }

  // Gives back pages before their entries can be used again, so that no new contents are lost.
  void giveBack() noexcept {
    Entry* from = &entries_[(taken_ - kEntriesAtOnce) % kEntries];
    madvise(from, kEntriesAtOnce * sizeof(Entry), MADV_DONTNEED);
    free_.store(taken_, std::memory_order_release);
  }

  std::atomic<uint64_t> next_{0};
  std::atomic<uint64_t> free_{0};  // all before it were taken and given back
  std::atomic<bool> is_whole_{true};
  std::atomic<bool> lost_changes_{false};
  uint64_t taken_ = 0;
  OwnPages pages_{kEntries * sizeof(Entry)};
  Entry* entries_ = pages_.as<Entry>();
};

}  // namespace memdrift
