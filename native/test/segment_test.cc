// SPDX-License-Identifier: MIT
#include "shm/segment.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "errors.h"
#include "shm/flag.h"
#include "shm/flag_waiter.h"

namespace memdrift {

namespace {

std::string nameOf(const char* what) {
  return std::string("gtest-") + what + std::to_string(getpid());
}

bool exists(const std::string& name) {
  struct stat status{};
  return stat(("/dev/shm/memdrift." + name).c_str(), &status) == 0;
}

}  // namespace

TEST(Segment, GoesWithTheLastOneOut) {
  const std::string name = nameOf("last");
  auto first = Segment::create(name, SegmentKind::kPlain, 100);
  auto second = Segment::open(name, SegmentKind::kPlain);
  first.reset();
  EXPECT_TRUE(exists(name));
  second.reset();
  EXPECT_FALSE(exists(name));
}

TEST(Segment, IsNotSweptWhileSomebodyIsAttached) {
  const std::string name = nameOf("swept");
  auto segment = Segment::create(name, SegmentKind::kPlain, 100);
  const std::vector<std::string> swept = Segment::sweep();
  EXPECT_EQ(std::count(swept.begin(), swept.end(), name), 0);
  EXPECT_TRUE(exists(name));
}

TEST(Segment, IsMadeOnceByManyWhoTryWhileOthersSweep) {
  const std::string name = nameOf("race");
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; round++) {
        Segment::sweep();
        try {
          auto segment = Segment::create(name, SegmentKind::kPlain, 100);
          EXPECT_EQ(made.fetch_add(1), 0) << "two of one name at once";
          made.fetch_sub(1);
        } catch (const Error& error) {
          EXPECT_TRUE(error.code() == ErrorCode::ERR_EXISTS || error.code() == ErrorCode::ERR_BUSY)
              << error.what();
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exists(name));
}

TEST(FlagWaiter, WakesForAFlagThatAnotherAttachmentPosts) {
  auto flag = Flag::create(nameOf("flag"));
  auto poster = Flag::open(nameOf("flag"));
  FlagWaiter waiter;
  std::atomic<int> taken{0};
  const auto deadline = FlagWaiter::Clock::now() + std::chrono::seconds(20);
  waiter.wait(flag, deadline, [&](WaitResult result) { taken += result == WaitResult::kTaken; });
  poster->post();
  while (taken == 0 && FlagWaiter::Clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(taken, 1);
  EXPECT_FALSE(flag->tryWait());
}

TEST(FlagWaiter, EndsAtItsDeadlineAndWhenItIsCancelled) {
  auto flag = Flag::create(nameOf("late"));
  std::atomic<int> late{0};
  std::atomic<int> cancelled{0};
  {
    FlagWaiter waiter;
    waiter.wait(flag, FlagWaiter::Clock::now() + std::chrono::milliseconds(5),
                [&](WaitResult result) { late += result == WaitResult::kTimedOut; });
    while (late == 0) std::this_thread::yield();
    waiter.wait(flag, FlagWaiter::Clock::now() + std::chrono::hours(1),
                [&](WaitResult result) { cancelled += result == WaitResult::kCancelled; });
    waiter.cancel(flag.get());
    EXPECT_EQ(cancelled, 1);
    waiter.wait(flag, FlagWaiter::Clock::now() + std::chrono::hours(1),
                [&](WaitResult result) { cancelled += result == WaitResult::kCancelled; });
  }
  EXPECT_EQ(cancelled, 2);
}

}  // namespace memdrift
