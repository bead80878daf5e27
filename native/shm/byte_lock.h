// SPDX-License-Identifier: MIT
// Locks on single bytes of a segment's file, far behind its data: who holds one is alive.
#pragma once

#include <cstdint>

#include "shm/table.h"

namespace memdrift {

// Takes or gives up (F_WRLCK, F_UNLCK) the lock of one byte for this open file description, which
// the kernel gives up with it. Never waits; false if another one has it.
bool setByteLock(int fd, short type, int64_t offset);

// True if another open file description holds the byte, or the kernel does not say: to take a
// living client for a dead one would give its memory away.
bool isByteLocked(int fd, int64_t offset);

// Which clients are alive, each asked of the kernel at most once.
class Liveness {
 public:
  Liveness(int fd, uint32_t self) : fd_(fd), self_(self) {}
  bool alive(uint32_t client);

 private:
  int fd_;
  uint32_t self_;
  uint64_t asked_[kReferenceWords] = {};
  uint64_t alive_[kReferenceWords] = {};
};

}  // namespace memdrift
