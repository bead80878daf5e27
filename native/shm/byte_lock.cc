// SPDX-License-Identifier: MIT
#include "shm/byte_lock.h"

#include <fcntl.h>

#include <cerrno>

#include "shm/crash_point.h"

namespace memdrift {

bool setByteLock(int fd, short type, int64_t offset) {
  crashPoint();
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = 1;
  int result;
  do {
    result = fcntl(fd, F_OFD_SETLK, &range);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

bool isByteLocked(int fd, int64_t offset) {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = 1;
  return fcntl(fd, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

bool Liveness::alive(uint32_t client) {
  if (client >= kMaxClients) return false;
  if (client == self_) return true;
  const uint64_t bit = uint64_t{1} << (client % 64);
  if ((asked_[client / 64] & bit) == 0) {
    asked_[client / 64] |= bit;
    if (isByteLocked(fd_, lockOffsetOfClient(client))) alive_[client / 64] |= bit;
  }
  return (alive_[client / 64] & bit) != 0;
}

}  // namespace memdrift
