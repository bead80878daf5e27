// SPDX-License-Identifier: MIT
#include "shm/flag.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

namespace memdrift {

static constexpr uint64_t kFlagBytes = 4096;

std::shared_ptr<Flag> Flag::create(const std::string& name) {
  auto segment = Segment::create(name, SegmentKind::kFlag, kFlagBytes);
  // Without its page a first touch on a full /dev/shm would be SIGBUS.
  segment->reserve(kSegmentHeaderBytes, kFlagBytes);
  return std::shared_ptr<Flag>(new Flag(std::move(segment)));
}

std::shared_ptr<Flag> Flag::open(const std::string& name) {
  return std::shared_ptr<Flag>(new Flag(Segment::open(name, SegmentKind::kFlag)));
}

Flag::Flag(std::unique_ptr<Segment> segment)
    : segment_(std::move(segment)),
      mapping_(
          {segment_->fd(), kSegmentHeaderBytes, kFlagBytes, PROT_READ | PROT_WRITE, MAP_SHARED}) {}

std::atomic<uint32_t>* Flag::word() const noexcept {
  return reinterpret_cast<std::atomic<uint32_t>*>(mapping_.data());
}

void Flag::post() noexcept {
  word()->store(1, std::memory_order_release);
  // All of them, and they race for it: one that was woken alone might just be giving up.
  syscall(SYS_futex, word(), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool Flag::tryWait() noexcept {
  uint32_t set = 1;
  return word()->compare_exchange_strong(set, 0, std::memory_order_acquire);
}

}  // namespace memdrift
