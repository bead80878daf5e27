// SPDX-License-Identifier: MIT
// Who receives from the channels of a store, and what became of who did.
#pragma once

#include <cstdint>
#include <mutex>
#include <unordered_set>

#include "shm/table.h"

namespace memdrift {

// What a sender that looks for the receiver of a channel finds.
enum class ReceiverState {
  kNever,  // none has come yet: one may come
  kAlive,
  kClosed,  // the last one has closed
  kGone,    // the last one ended without close
  // None has come, and the attachment that made the store has closed, or ended without close.
  kMakerClosed,
  kMakerGone
};

// The lock on a channel's byte says that a receiver is alive. Its record says that there was one,
// which a lock cannot say once its holder has ended. With more than kMaxChannels channels,
// records of ended receivers are used again: such a channel counts as one without a receiver yet.
class ChannelTable {
 public:
  ChannelTable(int fd, StoreHeader& header) : fd_(fd), header_(header) {}

  // For the attachment that has made the store, until this ends.
  void beMaker();
  void makerCloses();

  // The right to be the one receiver of a channel; false while another one has it. Ends with the
  // attachment, whatever ends that.
  bool claim(uint64_t key);
  // The receiver has closed.
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
  // The kernel does not say of a lock that this attachment has it.
  mutable std::mutex mutex_;
  std::unordered_set<uint64_t> claimed_;
};

}  // namespace memdrift
