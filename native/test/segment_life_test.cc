// SPDX-License-Identifier: MIT
// Who makes a segment, who leaves it, and who removes it: several processes and threads at once.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <thread>

#include "shm/segment.h"
#include "test/child.h"
#include "test/segment_fixture.h"

namespace memdrift {

TEST_F(SegmentTest, TheLastOneOutUnlinks) {
  auto first = create();
  auto second = open();
  auto third = open();
  first.reset();
  EXPECT_TRUE(exists());
  third.reset();
  EXPECT_TRUE(exists());
  second.reset();
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, OfTwoProcessesThatLeaveAtOnceOneUnlinks) {
  std::mt19937 random(11);
  for (int round = 0; round < 100; round++) {
    const useconds_t pauses[] = {static_cast<useconds_t>(random() % 300),
                                 static_cast<useconds_t>(random() % 300)};
    auto ours = create();
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const pid_t child = forked([&] {
      const auto theirs = open();
      if (write(ready[1], "r", 1) != 1) _exit(2);
      usleep(pauses[0]);
    });
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    usleep(pauses[1]);
    ours.reset();
    waitFor(child);
    close(ready[0]);
    close(ready[1]);
    ASSERT_FALSE(exists()) << "round " << round;
  }
}

TEST_F(SegmentTest, AForkedCopyDoesNotLeaveForItsParent) {
  auto segment = create();
  const pid_t child = fork();
  if (child == 0) {
    segment.reset();
    _exit(0);
  }
  waitFor(child);
  EXPECT_TRUE(exists());
  segment.reset();
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, WhatAnotherIsAttachedToIsNotSwept) {
  const StoppedChild owner([&] { holdNew(); });
  ASSERT_TRUE(owner.stopped());
  Segment::sweep();
  EXPECT_TRUE(exists());
  EXPECT_EQ(codeOf([&] { create(); }), ErrorCode::ERR_EXISTS);
  EXPECT_TRUE(exists());
}

TEST_F(SegmentTest, WhatKilledProcessesLeaveIsSweptAtTheNextCreate) {
  {
    const StoppedChild owner([&] { holdNew(); });
    const StoppedChild holder([&] { hold(); });
    ASSERT_TRUE(owner.stopped() && holder.stopped());
    kill(owner.pid(), SIGKILL);
    Segment::sweep();
    EXPECT_TRUE(exists()) << "the other one is still attached";
    kill(holder.pid(), SIGKILL);
  }
  EXPECT_TRUE(exists());
  const auto other = Segment::create({name("-other"), SegmentKind::kPlain, kSize, nullptr});
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, ANameThatAKilledProcessLeftIsFree) {
  {
    const StoppedChild owner([&] { holdNew(); });
  }
  ASSERT_TRUE(exists());
  const auto segment = create();
  EXPECT_TRUE(exists());
}

TEST_F(SegmentTest, OfManyThatMakeTheSameNameAtOnceOneGetsIt) {
  for (int round = 0; round < 30; round++) {
    // Left behind, so that all of them also sweep it.
    {
      const StoppedChild owner([&] { holdNew(); });
    }
    int start[2];
    ASSERT_EQ(pipe(start), 0);
    std::vector<pid_t> children;
    for (int i = 0; i < 4; i++) {
      children.push_back(fork());
      if (children.back() != 0) continue;
      close(start[1]);
      char byte = 0;
      if (read(start[0], &byte, 1) != 0) _exit(2);
      const auto code = codeOf([&] { holdNew(); });
      if (!code) raise(SIGSTOP);
      _exit(code == ErrorCode::ERR_EXISTS ? 0 : 2);
    }
    close(start[0]);
    close(start[1]);
    int owners = 0;
    for (const pid_t child : children) {
      int status = 0;
      waitpid(child, &status, WUNTRACED);
      EXPECT_TRUE(WIFSTOPPED(status) || status == 0) << status;
      owners += WIFSTOPPED(status) ? 1 : 0;
    }
    EXPECT_EQ(owners, 1);
    for (const pid_t child : children) kill(child, SIGKILL);
    while (wait(nullptr) > 0) continue;
  }
}

TEST_F(SegmentTest, IsMadeOnceByThreadsThatTryAndSweep) {
  std::atomic<int> made{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; i++) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; round++) {
        Segment::sweep();
        const auto code = codeOf([&] {
          const auto segment = create();
          EXPECT_EQ(made.fetch_add(1), 0) << "two of one name at once";
          made.fetch_sub(1);
        });
        EXPECT_TRUE(!code || code == ErrorCode::ERR_EXISTS);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, WhoLeavesDoesNotUnlinkWhatWasMadeAfterAnUnlink) {
  std::mt19937 random(13);
  for (int round = 0; round < 200; round++) {
    int ready[2];
    ASSERT_EQ(pipe(ready), 0);
    const useconds_t pause = random() % 100;
    const pid_t child = forked([&] {
      const auto old = create();
      if (write(ready[1], "r", 1) != 1) _exit(2);
      usleep(pause);
    });
    char byte = 0;
    ASSERT_EQ(read(ready[0], &byte, 1), 1);
    const auto code = codeOf([&] { Segment::unlink(name()); });
    ASSERT_TRUE(!code || code == ErrorCode::ERR_GONE);
    const auto made = create();
    waitFor(child);
    ASSERT_TRUE(exists()) << "round " << round;
    close(ready[0]);
    close(ready[1]);
  }
}

TEST_F(SegmentTest, AWrongOpenDoesNotKeepTheLastOneFromUnlinking) {
  std::atomic<bool> done{false};
  std::thread wrong([&] {
    while (!done) codeOf([&] { Segment::open(name(), SegmentKind::kFlag); });
  });
  for (int round = 0; round < 2000; round++) {
    const auto code = codeOf([&] { create(); });
    ASSERT_TRUE(!code || code == ErrorCode::ERR_EXISTS);
  }
  done = true;
  wrong.join();
  EXPECT_FALSE(exists());
}

}  // namespace memdrift
