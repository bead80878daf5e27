// SPDX-License-Identifier: MIT
#include "shm/flag_waiter.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "quiet_thread.h"

namespace memdrift {

namespace {

#ifndef SYS_futex_waitv
constexpr long SYS_futex_waitv = 449;
#endif

// The kernel's struct futex_waitv; headers before 5.16 do not have it.
struct WaitedWord {
  uint64_t value;
  uint64_t address;
  uint32_t flags;
  uint32_t reserved;
};
static_assert(sizeof(WaitedWord) == 24);
constexpr uint32_t kWord32 = 2;
constexpr uint32_t kPrivate = 128;
constexpr size_t kMaxWords = 128;

// How often to look where the kernel cannot wait for several words at once (before 5.16, or behind
// a filter of system calls that does not know futex_waitv), or there are more than it takes.
constexpr auto kSlice = std::chrono::milliseconds(2);

// How often to look although nobody woke us: who posts may be killed after it set the flag and
// before it woke anybody.
constexpr auto kUnwokenLook = std::chrono::seconds(1);

timespec toTimespec(FlagWaiter::Clock::time_point time) {
  const auto ns =
      std::chrono::duration_cast<std::chrono::nanoseconds>(time.time_since_epoch()).count();
  return {static_cast<time_t>(ns / 1'000'000'000), static_cast<long>(ns % 1'000'000'000)};
}

WaitedWord waitedWord(const std::atomic<uint32_t>* word, uint32_t value, uint32_t flags) {
  return {value, reinterpret_cast<uint64_t>(word), kWord32 | flags, 0};
}

}  // namespace

FlagWaiter::~FlagWaiter() {
  std::vector<Pending> rest;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    rest.swap(pending_);
  }
  wakeThread();
  if (thread_.joinable()) thread_.join();
  for (const Pending& one : rest) one.done(WaitResult::kCancelled);
}

void FlagWaiter::wait(std::shared_ptr<Flag> flag, Clock::time_point deadline, Done done) {
  {
    const std::lock_guard lock(mutex_);
    // First, because it throws when the system has no thread to give.
    if (!thread_.joinable()) thread_ = startQuietThread([this] { run(); });
    pending_.push_back({std::move(flag), deadline, std::move(done)});
  }
  wakeThread();
}

void FlagWaiter::cancel(const Flag* flag) {
  std::vector<Pending> cancelled;
  {
    const std::lock_guard lock(mutex_);
    auto rest = std::partition(pending_.begin(), pending_.end(),
                               [flag](const Pending& one) { return one.flag.get() != flag; });
    std::move(rest, pending_.end(), std::back_inserter(cancelled));
    pending_.erase(rest, pending_.end());
  }
  wakeThread();
  for (const Pending& one : cancelled) one.done(WaitResult::kCancelled);
}

void FlagWaiter::wakeThread() {
  changes_.fetch_add(1);
  syscall(SYS_futex, &changes_, FUTEX_WAKE | FUTEX_PRIVATE_FLAG, INT_MAX, nullptr, nullptr, 0);
}

void FlagWaiter::run() {
  for (;;) {
    const uint32_t seen = changes_.load();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
    }
    const std::vector<Pending> pending = settle();
    sleepUntilNews(pending, seen);
  }
}

std::vector<FlagWaiter::Pending> FlagWaiter::settle() {
  std::vector<std::pair<Done, WaitResult>> settled;
  std::vector<Pending> rest;
  // A flag that one wait found empty is empty for the later ones of this pass too: a post in
  // between would else be taken by a wait that began after it.
  std::set<const Flag*> empty;
  {
    const std::lock_guard lock(mutex_);
    const Clock::time_point now = Clock::now();
    std::erase_if(pending_, [&](Pending& one) {
      const bool taken = !empty.contains(one.flag.get()) && one.flag->tryWait();
      if (!taken) empty.insert(one.flag.get());
      if (!taken && now < one.deadline) return false;
      settled.emplace_back(std::move(one.done), taken ? WaitResult::kTaken : WaitResult::kTimedOut);
      return true;
    });
    rest = pending_;
  }
  for (auto& [done, result] : settled) done(result);
  return rest;
}

void FlagWaiter::sleepUntilNews(const std::vector<Pending>& pending, uint32_t seen) {
  Clock::time_point until = Clock::now() + std::chrono::hours(1);
  std::set<const std::atomic<uint32_t>*> flags;
  for (const Pending& one : pending) {
    until = std::min(until, one.deadline);
    flags.insert(one.flag->word());
  }
  if (!pending.empty()) until = std::min(until, Clock::now() + kUnwokenLook);
  if (flags.size() < kMaxWords && sleepOnWords(flags, seen, until)) return;
  if (!pending.empty()) until = std::min(until, Clock::now() + kSlice);
  const timespec deadline = toTimespec(until);
  syscall(SYS_futex, &changes_, FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, seen, &deadline, nullptr,
          FUTEX_BITSET_MATCH_ANY);
}

bool FlagWaiter::sleepOnWords(const std::set<const std::atomic<uint32_t>*>& flags, uint32_t seen,
                              Clock::time_point until) {
  std::vector<WaitedWord> words{waitedWord(&changes_, seen, kPrivate)};
  for (const auto* flag : flags) words.push_back(waitedWord(flag, 0, 0));
  const timespec deadline = toTimespec(until);
  const long result =
      syscall(SYS_futex_waitv, words.data(), words.size(), 0, &deadline, CLOCK_MONOTONIC);
  return result >= 0 || errno == EAGAIN || errno == EINTR || errno == ETIMEDOUT;
}

}  // namespace memdrift
