// SPDX-License-Identifier: MIT
#include "shm/channel_table.h"

#include <fcntl.h>

#include "shm/byte_lock.h"

namespace memdrift {

namespace {

constexpr uint64_t kKeyMask = (uint64_t{1} << 48) - 1;

uint64_t keyOf(uint64_t word) { return word & kKeyMask; }

}  // namespace

void ChannelTable::beMaker() { is_maker_ = setByteLock(fd_, F_WRLCK, kMakerLockOffset); }

void ChannelTable::makerCloses() {
  if (is_maker_) header_.maker_closed.store(1);
}

bool ChannelTable::claim(uint64_t key) {
  const std::lock_guard lock(mutex_);
  key &= kKeyMask;
  if (claimed_.contains(key) || !setByteLock(fd_, F_WRLCK, lockOffsetOfChannel(key))) return false;
  claimed_.insert(key);
  write(key, Record::kReceived);
  return true;
}

void ChannelTable::drop(uint64_t key) {
  const std::lock_guard lock(mutex_);
  key &= kKeyMask;
  if (claimed_.erase(key) == 0) return;
  // Written before the lock is released, so that no sender takes this for a death.
  write(key, Record::kClosed);
  setByteLock(fd_, F_UNLCK, lockOffsetOfChannel(key));
}

ReceiverState ChannelTable::receiver(uint64_t key) const {
  const std::lock_guard lock(mutex_);
  key &= kKeyMask;
  if (isAlive(key)) return ReceiverState::kAlive;
  const Record record = recordOf(key);
  // A receiver that came since the first look has written its record.
  if (isAlive(key)) return ReceiverState::kAlive;
  if (record == Record::kClosed) return ReceiverState::kClosed;
  if (record == Record::kReceived) return ReceiverState::kGone;
  if (is_maker_ || isByteLocked(fd_, kMakerLockOffset)) return ReceiverState::kNever;
  return header_.maker_closed.load() != 0 ? ReceiverState::kMakerClosed : ReceiverState::kMakerGone;
}

bool ChannelTable::isAlive(uint64_t key) const {
  return claimed_.contains(key) || isByteLocked(fd_, lockOffsetOfChannel(key));
}

ChannelTable::Record ChannelTable::recordOf(uint64_t key) const {
  for (const Shared<uint64_t>& slot : header_.channels) {
    const uint64_t word = slot.load();
    if (word != 0 && keyOf(word) == key)
      return word >> 48 == static_cast<uint64_t>(Record::kClosed) ? Record::kClosed
                                                                  : Record::kReceived;
  }
  return Record::kNone;
}

// Only the holder of a channel's lock makes and writes its record; slots of other channels may
// change meanwhile.
void ChannelTable::write(uint64_t key, Record record) {
  const uint64_t word = static_cast<uint64_t>(record) << 48 | key;
  for (Shared<uint64_t>& slot : header_.channels) {
    const uint64_t before = slot.load();
    if (before != 0 && keyOf(before) == key && slot.replace(before, word)) return;
  }
  for (Shared<uint64_t>& slot : header_.channels) {
    if (slot.load() == 0 && slot.replace(0, word)) return;
  }
  replaceEnded(word);
}

// With kMaxChannels receivers alive there is nothing to replace, and this one has no record.
void ChannelTable::replaceEnded(uint64_t word) {
  const size_t start = keyOf(word) % kMaxChannels;
  for (size_t i = 0; i < kMaxChannels; i++) {
    Shared<uint64_t>& slot = header_.channels[(start + i) % kMaxChannels];
    const uint64_t before = slot.load();
    if (!isAlive(keyOf(before)) && slot.replace(before, word)) return;
  }
}

}  // namespace memdrift
