// SPDX-License-Identifier: MIT
#include "shm/flag.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstddef>
#include <future>
#include <thread>
#include <vector>

#include "errors.h"
#include "shm/flag_waiter.h"
#include "test/crash_child.h"

namespace memdrift {

using std::chrono::milliseconds;

constexpr auto kLong = std::chrono::seconds(60);
constexpr int kFutexWaitv = 449;

static std::string flagName(const std::string& suffix = "") {
  return "flag-test-" + std::to_string(getpid()) + suffix;
}

static std::future<WaitResult> waitFor(FlagWaiter& waiter, const std::shared_ptr<Flag>& flag,
                                       FlagWaiter::Clock::duration timeout) {
  auto result = std::make_shared<std::promise<WaitResult>>();
  waiter.wait(flag, FlagWaiter::Clock::now() + timeout,
              [result](WaitResult how) { result->set_value(how); });
  return result->get_future();
}

TEST(Flag, IsBinary) {
  const auto flag = Flag::create(flagName());
  EXPECT_FALSE(flag->tryWait());
  flag->post();
  flag->post();
  EXPECT_TRUE(flag->tryWait());
  EXPECT_FALSE(flag->tryWait());
}

TEST(Flag, IsTheSameInEveryAttachment) {
  const auto flag = Flag::create(flagName());
  const auto other = Flag::open(flagName());
  EXPECT_NE(flag->word(), other->word());
  other->post();
  EXPECT_TRUE(flag->tryWait());
}

TEST(Flag, TakesAValueThatNobodyPosts) {
  const auto flag = Flag::create(flagName());
  flag->word()->store(0xdeadbeef);
  FlagWaiter waiter;
  EXPECT_EQ(waitFor(waiter, flag, kLong).get(), WaitResult::kTaken);
  EXPECT_FALSE(flag->tryWait());
}

TEST(Flag, CloseUnlinksWhileSomebodyStillHasTheWord) {
  const auto flag = Flag::create(flagName());
  flag->close();
  EXPECT_NE(access(("/dev/shm/memdrift." + flagName()).c_str(), F_OK), 0);
  flag->post();
  EXPECT_TRUE(flag->tryWait());
}

TEST(Flag, AFileWithoutRoomForItIsMalformed) {
  const auto segment = Segment::create({flagName(), SegmentKind::kFlag, 8, nullptr});
  try {
    Flag::open(flagName());
    FAIL() << "it was opened";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ERR_MALFORMED);
  }
}

TEST(Flag, AllocatesNoMoreThanItsPageOfAFileThatSaysItIsLarge) {
  const auto segment = Segment::create({flagName(), SegmentKind::kFlag, 64 << 20, nullptr});
  const auto flag = Flag::open(flagName());
  flag->post();
  EXPECT_LE(segment->residentBytes(), uint64_t{2 * 4096});
}

class FlagWaiterTest : public testing::Test {
 protected:
  std::shared_ptr<Flag> flag_ = Flag::create(flagName());
};

TEST_F(FlagWaiterTest, TakesWhatWasPostedBefore) {
  FlagWaiter waiter;
  flag_->post();
  EXPECT_EQ(waitFor(waiter, flag_, kLong).get(), WaitResult::kTaken);
  EXPECT_FALSE(flag_->tryWait());
}

TEST_F(FlagWaiterTest, TimesOutAndLeavesTheFlagToOthers) {
  FlagWaiter waiter;
  EXPECT_EQ(waitFor(waiter, flag_, milliseconds(20)).get(), WaitResult::kTimedOut);
  flag_->post();
  EXPECT_TRUE(flag_->tryWait());
}

// One of the points is between setting the flag and waking who waits for it.
TEST_F(FlagWaiterTest, TakesWhatAProcessPostedThatWasKilledInIt) {
  Ending ending = Ending::kKilled;
  for (uint64_t point = 1; ending == Ending::kKilled; point++) {
    int gate[2];
    ASSERT_EQ(pipe(gate), 0);
    char byte = 0;
    // Forked before the waiter has a thread, and let go when that sleeps, most likely.
    const pid_t child = startUntilPoint(
        point, {[&] { byte = read(gate[0], &byte, 1) == 1 ? 1 : 0; }, [&] { flag_->post(); }});
    FlagWaiter waiter;
    auto taken = waitFor(waiter, flag_, 60 * kLong);
    usleep(20'000);
    ASSERT_EQ(write(gate[1], &byte, 1), 1);
    ending = endOf(child).ending;
    ASSERT_NE(ending, Ending::kFailed);
    if (point == 1) flag_->post();  // it was killed before it set the flag
    EXPECT_EQ(taken.wait_for(kLong), std::future_status::ready) << "killed at point " << point;
    flag_->post();
    EXPECT_TRUE(flag_->tryWait());
    close(gate[0]);
    close(gate[1]);
  }
}

TEST_F(FlagWaiterTest, ALaterWaitMayEndEarlier) {
  FlagWaiter waiter;
  auto late = waitFor(waiter, flag_, kLong);
  const auto other = Flag::create(flagName("-other"));
  EXPECT_EQ(waitFor(waiter, other, milliseconds(20)).get(), WaitResult::kTimedOut);
  EXPECT_NE(late.wait_for(milliseconds(0)), std::future_status::ready);
  flag_->post();
  EXPECT_EQ(late.get(), WaitResult::kTaken);
}

TEST_F(FlagWaiterTest, APostEndsOneOfManyWaits) {
  FlagWaiter waiter;
  std::vector<std::future<WaitResult>> waits;
  for (int i = 0; i < 300; i++) waits.push_back(waitFor(waiter, flag_, kLong));
  for (auto& wait : waits) {
    flag_->post();
    EXPECT_EQ(wait.get(), WaitResult::kTaken);
  }
  EXPECT_FALSE(flag_->tryWait());
}

TEST_F(FlagWaiterTest, WaitsForMoreFlagsThanTheKernelTakesAtOnce) {
  FlagWaiter waiter;
  std::vector<std::shared_ptr<Flag>> flags;
  std::vector<std::future<WaitResult>> waits;
  for (int i = 0; i < 150; i++) {
    flags.push_back(Flag::create(flagName("-" + std::to_string(i))));
    waits.push_back(waitFor(waiter, flags.back(), kLong));
  }
  for (size_t i = flags.size(); i-- > 0;) {
    flags[i]->post();
    EXPECT_EQ(waits[i].get(), WaitResult::kTaken);
  }
}

TEST_F(FlagWaiterTest, CancelEndsTheWaitsForThatFlagOnly) {
  FlagWaiter waiter;
  const auto other = Flag::create(flagName("-other"));
  auto first = waitFor(waiter, flag_, kLong);
  auto second = waitFor(waiter, flag_, kLong);
  auto kept = waitFor(waiter, other, kLong);
  waiter.cancel(flag_.get());
  EXPECT_EQ(first.get(), WaitResult::kCancelled);
  EXPECT_EQ(second.get(), WaitResult::kCancelled);
  other->post();
  EXPECT_EQ(kept.get(), WaitResult::kTaken);
}

TEST_F(FlagWaiterTest, ItsEndCancelsWhatWaits) {
  std::future<WaitResult> wait;
  {
    FlagWaiter waiter;
    wait = waitFor(waiter, flag_, kLong);
  }
  EXPECT_EQ(wait.get(), WaitResult::kCancelled);
}

TEST_F(FlagWaiterTest, TwoWaitersTakeEachPostOnce) {
  const auto other = Flag::open(flagName());
  FlagWaiter waiters[2];
  constexpr int kPosts = 500;
  std::atomic<int> taken{0};
  std::thread poster([&] {
    for (int i = 0; i < kPosts; i++) {
      flag_->post();
      while (taken <= i) std::this_thread::yield();
    }
  });
  std::thread takers[2];
  for (int side = 0; side < 2; side++) {
    takers[side] = std::thread([&, side] {
      while (taken < kPosts) {
        const auto how = waitFor(waiters[side], side == 0 ? flag_ : other, milliseconds(20)).get();
        if (how == WaitResult::kTaken) taken++;
      }
    });
  }
  poster.join();
  for (auto& taker : takers) taker.join();
  EXPECT_EQ(taken, kPosts);
}

TEST_F(FlagWaiterTest, PlaysPingPongWithAnotherProcess) {
  constexpr int kRounds = 2000;
  const auto back = Flag::create(flagName("-back"));
  const pid_t child = fork();
  if (child == 0) {
    // No thread after fork: it looks and yields.
    for (int i = 0; i < kRounds; i++) {
      while (!flag_->tryWait()) usleep(10);
      back->post();
    }
    _exit(0);
  }
  FlagWaiter waiter;
  for (int i = 0; i < kRounds; i++) {
    flag_->post();
    ASSERT_EQ(waitFor(waiter, back, kLong).get(), WaitResult::kTaken) << "round " << i;
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

// From here on the calling thread, and those that it starts, get this error from futex_waitv.
static void refuseFutexWaitv(int error_number) {
  sock_filter steps[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, kFutexWaitv, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error_number)),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program{std::size(steps), steps};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
}

// ENOSYS is an old kernel; EPERM is what older container runtimes say of calls they do not know.
TEST_F(FlagWaiterTest, WorksWithoutFutexWaitv) {
  for (const int error_number : {ENOSYS, EPERM}) {
    std::thread([&] {
      refuseFutexWaitv(error_number);
      FlagWaiter waiter;
      auto wait = waitFor(waiter, flag_, kLong);
      const auto other = Flag::create(flagName("-other"));
      EXPECT_EQ(waitFor(waiter, other, milliseconds(20)).get(), WaitResult::kTimedOut);
      timespec before{}, after{};
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
      std::this_thread::sleep_for(milliseconds(200));
      clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
      const double used_ms = 1e3 * static_cast<double>(after.tv_sec - before.tv_sec) +
                             1e-6 * static_cast<double>(after.tv_nsec - before.tv_nsec);
      EXPECT_LT(used_ms, 100) << "it spins";
      flag_->post();
      EXPECT_EQ(wait.get(), WaitResult::kTaken);
    }).join();
  }
}

}  // namespace memdrift
