// SPDX-License-Identifier: MIT
#include "capture/descriptors.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace memdrift {

namespace {

// close_range came with Linux 5.9; the headers of older systems lack its numbers.
constexpr long kCloseRange = 436;
constexpr unsigned kUnshare = 2;

constexpr long kPidfdOpen = 434;
constexpr long kPidfdGetfd = 438;

__thread bool t_is_separate __attribute__((tls_model("initial-exec"))) = false;

// For kernels before close_range(2): the table is a copy, so the program's files stay open.
void closeAll() noexcept {
  constexpr int kMostCommon = 1024;
  for (int fd = 0; fd < kMostCommon; fd++) close(fd);
  DIR* open_ones = opendir("/proc/thread-self/fd");
  if (!open_ones) return;
  while (const dirent* entry = readdir(open_ones)) {
    const int fd = atoi(entry->d_name);
    if (fd >= kMostCommon && fd != dirfd(open_ones)) close(fd);
  }
  closedir(open_ones);
}

// Returns a descriptor in this thread's table for the process's present standard error, or -1.
int takeStderr() noexcept {
  const auto process = static_cast<int>(syscall(kPidfdOpen, getpid(), 0));
  if (process >= 0) {
    const auto fd = static_cast<int>(syscall(kPidfdGetfd, process, STDERR_FILENO, 0));
    close(process);
    if (fd >= 0) return fd;
  }
  // A reopened file has an offset of its own: without O_APPEND a write would overwrite its start.
  return open("/proc/self/fd/2", O_WRONLY | O_APPEND | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
}

}  // namespace

bool separateDescriptors() noexcept {
  if (syscall(kCloseRange, 0U, ~0U, kUnshare) != 0) {
    if (unshare(CLONE_FILES) != 0) return false;
    closeAll();
  }
  t_is_separate = true;
  return true;
}

void writeToStderr(std::string_view text) noexcept {
  constexpr int kMostWaitMs = 1000;
  const int fd = t_is_separate ? takeStderr() : STDERR_FILENO;
  if (fd < 0) return;
  pollfd ready = {fd, POLLOUT, 0};
  if (poll(&ready, 1, kMostWaitMs) > 0) (void)!write(fd, text.data(), text.size());
  if (t_is_separate) close(fd);
}

int moveAway(int fd) noexcept {
  // A table is as long as its highest number.
  constexpr rlim_t kHighest = 16384;
  constexpr int kRoom = 16;
  rlimit limit;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return fd;
  const auto below = static_cast<int>(std::min(limit.rlim_cur, kHighest));
  for (int least = below - kRoom; least > fd; least -= kRoom) {
    const int moved = fcntl(fd, F_DUPFD_CLOEXEC, least);
    if (moved < 0) continue;
    close(fd);
    return moved;
  }
  return fd;
}

}  // namespace memdrift
