// SPDX-License-Identifier: MIT
// Our threads in a program that is not ours.
#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>
#include <utility>

namespace memdrift {

// Starts a thread that takes no signal from its first instruction on: the program's handlers expect
// its own threads, and a write beyond RLIMIT_FSIZE must not end the program by SIGXFSZ.
// glibc keeps its own signals, of setuid() and pthread_cancel(), deliverable.
template <typename Run>
std::thread startQuietThread(Run&& run) {
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  struct Restored {
    const sigset_t& before;
    ~Restored() { pthread_sigmask(SIG_SETMASK, &before, nullptr); }
  } const restored{before};
  return std::thread(std::forward<Run>(run));
}

}  // namespace memdrift
