// SPDX-License-Identifier: MIT
#include "shm/flag.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <climits>

#include "errors.h"
#include "shm/crash_point.h"

namespace memdrift {

static constexpr uint64_t kFlagBytes = 4096;

std::shared_ptr<Flag> Flag::create(const std::string& name) {
  return std::shared_ptr<Flag>(new Flag(Segment::create(
      {name, SegmentKind::kFlag, kFlagBytes, [](Segment& made) { made.reserveAll(); }})));
}

std::shared_ptr<Flag> Flag::open(const std::string& name) {
  auto segment = Segment::open(name, SegmentKind::kFlag);
  if (segment->dataBytes() < kFlagBytes)
    throw Error(ErrorCode::ERR_MALFORMED, segment->path() + " has no room for a flag");
  // Without its page a first touch on a full /dev/shm would be SIGBUS. No more than that page: the
  // file is as large as somebody says.
  segment->reserve(kSegmentHeaderBytes, kFlagBytes);
  return std::shared_ptr<Flag>(new Flag(std::move(segment)));
}

Flag::Flag(std::unique_ptr<Segment> segment)
    : segment_(std::move(segment)),
      mapping_(
          {segment_->fd(), kSegmentHeaderBytes, kFlagBytes, PROT_READ | PROT_WRITE, MAP_SHARED}) {}

std::atomic<uint32_t>* Flag::word() const noexcept {
  return reinterpret_cast<std::atomic<uint32_t>*>(mapping_.data());
}

void Flag::post() noexcept {
  crashPoint();
  word()->store(1, std::memory_order_release);
  crashPoint();
  // All of them, and they race for it: one that was woken alone might just be giving up.
  syscall(SYS_futex, word(), FUTEX_WAKE, INT_MAX, nullptr, nullptr, 0);
}

bool Flag::tryWait() noexcept {
  // Any value but 0, though post writes only 1: a waiter would spin on one that it cannot take.
  if (word()->load(std::memory_order_relaxed) == 0) return false;
  crashPoint();
  return word()->exchange(0, std::memory_order_acquire) != 0;
}

}  // namespace memdrift
