// SPDX-License-Identifier: MIT
// A process that dies before the k-th of its changes of what others can see; see shm/crash_point.h.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <exception>
#include <functional>

#include "shm/crash_point.h"

namespace memdrift {

enum class Ending {
  kKilled,    // at the point
  kFinished,  // it came to the end of its work before the point
  kFailed     // it threw, hung, or died of something else
};

struct CrashWork {
  // What the process does first, where it does not die.
  std::function<void()> before;
  std::function<void()> body;
  int signal = SIGKILL;  // or SIGSTOP
};

struct CrashChild {
  pid_t pid;
  Ending ending;
};

// Longer than any call may take that has a timeout.
inline constexpr unsigned kHangSeconds = 60;

inline pid_t startUntilPoint(uint64_t point, const CrashWork& work) {
  fflush(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  alarm(kHangSeconds);
  try {
    if (work.before) work.before();
    crashAt(point, work.signal);
    work.body();
  } catch (const std::exception& error) {
    fprintf(stderr, "child: %s\n", error.what());
    _exit(1);
  }
  _exit(0);
}

// Waits until it is stopped at its point; false if it has ended without.
inline bool isStopped(pid_t pid) {
  siginfo_t news{};
  const int which = WSTOPPED | WEXITED | WNOWAIT;
  return waitid(P_PID, static_cast<id_t>(pid), &news, which) == 0 && news.si_code == CLD_STOPPED;
}

inline CrashChild endOf(pid_t pid) {
  int status = 0;
  const bool waited = waitpid(pid, &status, 0) == pid;
  if (waited && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) return {pid, Ending::kKilled};
  const bool finished = waited && WIFEXITED(status) && WEXITSTATUS(status) == 0;
  return {pid, finished ? Ending::kFinished : Ending::kFailed};
}

inline CrashChild runUntilPoint(uint64_t point, const CrashWork& work) {
  return endOf(startUntilPoint(point, work));
}

}  // namespace memdrift
