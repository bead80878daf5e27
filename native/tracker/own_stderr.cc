// SPDX-License-Identifier: MIT
#include "tracker/own_stderr.h"

#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace memdrift {

OwnStderr::OwnStderr() noexcept {
  struct stat file = {};
  is_open_ = fstat(STDERR_FILENO, &file) == 0;
  device_ = file.st_dev;
  inode_ = file.st_ino;
}

bool OwnStderr::write(std::string_view line) const noexcept {
  constexpr size_t kPipeBuf = 4096;  // a pipe or socket that is writable takes this at once
  struct stat file = {};
  if (!is_open_ || line.size() > kPipeBuf || fstat(STDERR_FILENO, &file) != 0) return false;
  if (file.st_dev != device_ || file.st_ino != inode_) return false;
  pollfd place = {STDERR_FILENO, POLLOUT, 0};
  if (poll(&place, 1, 0) != 1 || place.revents != POLLOUT) return false;
  return ::write(STDERR_FILENO, line.data(), line.size()) == static_cast<ssize_t>(line.size());
}

}  // namespace memdrift
