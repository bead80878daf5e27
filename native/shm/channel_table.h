// SPDX-License-Identifier: MIT
// The receivers of a store's channels: which are alive, and how earlier ones ended.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_set>

#include "shm/table.h"

namespace memdrift {

// State of a channel's receiver, as a sender finds it.
enum class ReceiverState {
  kNever,  // no receiver has come yet: one may come
  kAlive,
  kClosed,  // the last one has closed
  kGone,    // the last one ended without close
  // None has come, and the attachment that made the store has closed, or ended without close.
  kMakerClosed,
  kMakerGone
};

// The lock on a channel's byte shows that a receiver is alive. The record shows that there was one,
// which a lock cannot show once its holder has ended. With more than kMaxChannels channels, records
// of ended receivers are used again: such a channel counts as one without a receiver yet.
class ChannelTable {
 public:
  ChannelTable(int fd, StoreHeader& header) : fd_(fd), header_(header) {}

  // Marks this attachment as the store's maker until it ends.
  void beMaker();
  void makerCloses();

  // Claims the right to be the channel's one receiver; returns false while another receiver has it.
  // The claim ends with the attachment, however that ends.
  bool claim(uint64_t key);
  // Releases the claim, and records that the receiver has closed.
  void drop(uint64_t key);
  ReceiverState receiver(uint64_t key) const;

 private:
  enum class Record : uint64_t { kNone = 0, kReceived = 1, kClosed = 2 };
  Record recordOf(uint64_t key) const;
  void write(uint64_t key, Record record);
  void replaceEnded(uint64_t word);
  bool isAlive(uint64_t key) const;

  int fd_;
  StoreHeader& header_;
  bool is_maker_ = false;
  // Guards claimed_, which is needed since the kernel does not report a lock to its own holder.
  mutable std::mutex mutex_;
  std::unordered_set<uint64_t> claimed_;
};

}  // namespace memdrift
