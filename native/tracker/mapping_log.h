// SPDX-License-Identifier: MIT
// What hooks did to mappings and threads' stacks, in one order for all threads, for the writer:
// it looks which of their pages are resident. Rare beside blocks, so that one queue does.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <new>

#include "capture/event_decoder.h"
#include "capture/own_pages.h"

namespace memdrift {

// A bounded queue of many writers and one reader. Lock-free: a full one refuses.
class MappingLog {
 public:
  static constexpr size_t kEntries = 4096;

  // In hooks. Of the event only what says which pages; a lost one is told by isWhole().
  void put(const Event& event) noexcept {
    if (!tryPut(event)) is_whole_.store(false, std::memory_order_relaxed);
  }

  // In hooks, for a change of known mappings: the writer can do without, at the cost of a look at
  // all of them. It leaves half of the room to put().
  void putChange(const Event& event) noexcept {
    const uint64_t ahead = next_.load(std::memory_order_relaxed) + kEntries / 2;
    const bool has_room = entries_[ahead % kEntries].turn.load(std::memory_order_acquire) >= ahead;
    if (!has_room || !tryPut(event)) lost_changes_.store(true, std::memory_order_relaxed);
  }

  // The writer's: true if changes were lost since the last call.
  bool takeLostChanges() noexcept {
    return lost_changes_.exchange(false, std::memory_order_relaxed);
  }

  // The writer's: the oldest, or false.
  bool take(Event& event) noexcept {
    Entry& entry = entries_[taken_ % kEntries];
    if (entry.turn.load(std::memory_order_acquire) != taken_ + 1) return false;
    event = entry.event;
    entry.turn.store(taken_ + kEntries, std::memory_order_release);
    taken_++;
    return true;
  }

  // Marks the log as incomplete: entries are missing, or a jump left one half made, which take()
  // never passes.
  void giveUp() noexcept { is_whole_.store(false, std::memory_order_relaxed); }

  bool isWhole() const noexcept { return is_whole_.load(std::memory_order_relaxed); }

  MappingLog() {
    for (size_t i = 0; i < kEntries; i++) new (&entries_[i]) Entry{i, {}};
  }

 private:
  bool tryPut(const Event& event) noexcept {
    uint64_t at = next_.load(std::memory_order_relaxed);
    for (;;) {
      Entry& entry = entries_[at % kEntries];
      const uint64_t turn = entry.turn.load(std::memory_order_acquire);
      if (turn == at) {
        if (!next_.compare_exchange_weak(at, at + 1, std::memory_order_relaxed)) continue;
        entry.event = event;
        entry.turn.store(at + 1, std::memory_order_release);
        return true;
      }
      if (turn < at) return false;
      at = next_.load(std::memory_order_relaxed);
    }
  }

  struct Entry {
    std::atomic<uint64_t> turn;
    Event event;
  };

  std::atomic<uint64_t> next_{0};
  std::atomic<bool> is_whole_{true};
  std::atomic<bool> lost_changes_{false};
  uint64_t taken_ = 0;
  OwnPages pages_{kEntries * sizeof(Entry)};
  Entry* entries_ = pages_.as<Entry>();
};

}  // namespace memdrift
