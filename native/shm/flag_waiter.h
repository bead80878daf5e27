// SPDX-License-Identifier: MIT
// Waits for flags on one thread, so that neither an event loop nor libuv's pool does.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

#include "shm/flag.h"

namespace memdrift {

enum class WaitResult { kTaken, kTimedOut, kCancelled };

class FlagWaiter {
 public:
  using Clock = std::chrono::steady_clock;
  // Called on the waiter's thread, or on the one that cancels; must not call back into the waiter.
  using Done = std::function<void(WaitResult)>;

  FlagWaiter() = default;
  // Cancels what still waits, and joins the thread.
  ~FlagWaiter();
  FlagWaiter(const FlagWaiter&) = delete;

  // Calls `done` once: when the flag was taken, at the deadline, or at cancel(). Of several waits
  // for one flag the oldest gets what is posted.
  void wait(std::shared_ptr<Flag> flag, Clock::time_point deadline, Done done);
  // Ends every wait for this flag.
  void cancel(const Flag* flag);

 private:
  struct Pending {
    std::shared_ptr<Flag> flag;
    Clock::time_point deadline;
    Done done;
  };

  void run();
  // Ends the waits that can end; returns copies of those that cannot, for the kernel.
  std::vector<Pending> settle();
  void sleepUntilNews(const std::vector<Pending>& pending, uint32_t seen);
  // False, at once, where the kernel does not let us wait for several words.
  bool sleepOnWords(const std::set<const std::atomic<uint32_t>*>& flags, uint32_t seen,
                    Clock::time_point until);
  void wakeThread();

  std::mutex mutex_;
  std::vector<Pending> pending_;
  bool stopping_ = false;
  std::thread thread_;
  // Counts changes of pending_; the thread sleeps on it besides on the flags.
  std::atomic<uint32_t> changes_{0};
};

}  // namespace memdrift
