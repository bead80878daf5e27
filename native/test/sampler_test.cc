// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

#include "errors.h"
#include "proc/pass_clock.h"
#include "proc/sampler.h"

namespace memdrift {
namespace {

constexpr int64_t kMs = 1'000'000;
constexpr int64_t kSecond = 1000 * kMs;

TEST(TickClock, StaysOnTheGridWhenATickIsLate) {
  TickClock clock(0, 100 * kMs);
  EXPECT_TRUE(clock.due(0));
  clock.ticked(30 * kMs);
  EXPECT_EQ(clock.nextNs(), 100 * kMs);
  EXPECT_FALSE(clock.due(99 * kMs));
  clock.ticked(100 * kMs);
  EXPECT_EQ(clock.nextNs(), 200 * kMs);
  EXPECT_EQ(clock.missed(), 0u);
}

TEST(TickClock, CountsMissedTicksAndDoesNotMakeThemUp) {
  TickClock clock(0, 100 * kMs);
  clock.ticked(0);
  clock.ticked(450 * kMs);  // those of 200, 300 and 400 were missed
  EXPECT_EQ(clock.nextNs(), 500 * kMs);
  EXPECT_EQ(clock.missed(), 3u);
}

TEST(PassClock, WaitsUntilTheBudgetHoldsThePrediction) {
  PassClock clock(0, 1);
  EXPECT_FALSE(clock.due(1 * kSecond, 0, 20 * kMs));
  EXPECT_FALSE(clock.due(1900 * kMs, 0, 20 * kMs));
  EXPECT_EQ(clock.skipped(), 2u);
  EXPECT_TRUE(clock.due(2 * kSecond, 0, 20 * kMs));
}

TEST(PassClock, TakesEverythingTheThreadSpendsFromTheBudget) {
  PassClock clock(0, 1);
  EXPECT_FALSE(clock.due(2 * kSecond, 5 * kMs, 20 * kMs));
  EXPECT_TRUE(clock.due(2500 * kMs, 5 * kMs, 20 * kMs));
  clock.passed(2500 * kMs);
  // The pass cost 60 ms instead of 20: no other before the 40 ms are earned again.
  EXPECT_FALSE(clock.due(8 * kSecond, 65 * kMs, 20 * kMs));
  EXPECT_TRUE(clock.due(8500 * kMs, 65 * kMs, 20 * kMs));
}

TEST(PassClock, KeepsTheBudgetOverALongRun) {
  PassClock clock(0, 1);
  int64_t spent = 0;
  for (int64_t now = 0; now < 600 * kSecond; now += 100 * kMs) {
    spent += kMs / 10;
    if (!clock.due(now, spent, 27 * kMs)) continue;
    spent += 27 * kMs;
    clock.passed(now);
  }
  EXPECT_LE(spent, 6 * kSecond);
  EXPECT_GE(spent, 57 * kSecond / 10);
}

TEST(PassClock, TakesBackWhatItLentAtTheBeginning) {
  PassClock clock(0, 1, 20 * kMs);
  EXPECT_TRUE(clock.due(1 * kSecond, 0, 20 * kMs));
  clock.passed(1 * kSecond);
  // The first two seconds pay for that pass, the next two for another.
  EXPECT_FALSE(clock.due(3900 * kMs, 20 * kMs, 20 * kMs));
  EXPECT_TRUE(clock.due(4 * kSecond, 20 * kMs, 20 * kMs));
}

TEST(PassClock, ForgetsTheCreditOfALongRest) {
  PassClock clock(0, 1);
  int passes = 0;
  int64_t spent = 0;
  EXPECT_TRUE(clock.due(3600 * kSecond, spent, 27 * kMs));
  for (int64_t now = 3600 * kSecond; now < 3610 * kSecond; now += 100 * kMs) {
    if (!clock.due(now, spent, 27 * kMs)) continue;
    spent += 27 * kMs;
    passes++;
    clock.passed(now);
  }
  EXPECT_LE(passes, 8);  // 10 s of credit and 10 s of time
}

TEST(PassClock, AllowsAPassThatCostsMoreThanTheWindowHolds) {
  PassClock clock(0, 1);
  bool due = false;
  for (int64_t now = 0; now <= 61 * kSecond && !due; now += kSecond)
    due = clock.due(now, 0, 600 * kMs);
  EXPECT_TRUE(due);
}

TEST(PassClock, HasNoPassesOfItsOwnWithoutABudget) {
  PassClock clock(0, 0);
  EXPECT_FALSE(clock.due(3600 * kSecond, 0, 0));
}

TEST(PassClock, HasTheCreditThatItWasGiven) {
  PassClock clock(0, 1, 50 * kMs);
  EXPECT_TRUE(clock.due(kSecond, 0, 50 * kMs));
  PassClock without(0, 1);
  EXPECT_FALSE(without.due(kSecond, 0, 50 * kMs));
}

PassPlan::Need needOf(double width, double fault_bytes, bool hangs_on_it = false) {
  return {.width_bytes = width,
          .sum_rss_bytes = 200,
          .fault_bytes = fault_bytes,
          .hangs_on_it = hangs_on_it};
}

TEST(PassPlan, KeepsCreditForTheTimeWhenMemoryComesToRest) {
  PassPlan plan;
  EXPECT_EQ(plan.price(needOf(100, 10)).times, 3);  // the group moves
  EXPECT_EQ(plan.price(needOf(150, 20)).times, 3);
  EXPECT_EQ(plan.price(needOf(150, 20)).times, 1);  // and rests
}

TEST(PassPlan, PaysLeastForAPassThatWouldNarrowNothing) {
  PassPlan plan;
  plan.price(needOf(100, 10));
  plan.passed(80);
  EXPECT_EQ(plan.price(needOf(80, 10)).times, 6);
  EXPECT_EQ(plan.price(needOf(80.1, 10, true)).times, 6);
  EXPECT_EQ(plan.price(needOf(100, 10)).times, 1);
  // Bounds that became narrower without a pass: it is from there that one would narrow them.
  EXPECT_EQ(plan.price(needOf(20, 10)).times, 6);
  EXPECT_EQ(plan.price(needOf(40, 10)).times, 1);
}

TEST(PassPlan, PaysAtOnceForWhatAVerdictHangsOn) {
  PassPlan plan;
  EXPECT_EQ(plan.price(needOf(100, 10)).times, 3);
  EXPECT_EQ(plan.price(needOf(150, 20, true)).times, 1);
}

TEST(PassPlan, BorrowsOnlyAfterAGreatChangeThatRests) {
  PassPlan plan;
  EXPECT_FALSE(plan.price(needOf(100, 10, true)).may_borrow);
  EXPECT_TRUE(plan.price(needOf(100, 10)).may_borrow);
  plan.passed(95);
  EXPECT_FALSE(plan.price(needOf(100, 10)).may_borrow);
}

TEST(PassClock, LendsAsMuchAsItsWindowHolds) {
  PassClock clock(0, 1);
  EXPECT_EQ(clock.loanNs(), 100 * kMs);
  EXPECT_TRUE(clock.due(kSecond, 0, 40 * kMs - clock.loanNs()));
  clock.passed(kSecond);
  EXPECT_TRUE(clock.due(2 * kSecond, 80 * kMs, 40 * kMs - clock.loanNs()));
  clock.passed(2 * kSecond);
  EXPECT_FALSE(clock.due(3 * kSecond, 160 * kMs, 40 * kMs - clock.loanNs()));
}

TEST(Peak, KeepsTheFirstTimeOfTheHighestValueAndIgnoresTheUnknown) {
  Peak peak;
  peak.offer(NAN, 1);
  EXPECT_TRUE(std::isnan(peak.bytes));
  peak.offer(5, 2);
  peak.offer(9, 3);
  peak.offer(9, 4);
  EXPECT_EQ(peak.bytes, 9);
  EXPECT_EQ(peak.at_ms, 3);
  EXPECT_EQ(peak.samples, 3u);
}

class Child {
 public:
  Child() : pid_(fork()) {
    if (pid_ != 0) return;
    while (true) pause();
  }
  ~Child() {
    if (pid_ > 0) end();
  }
  pid_t pid() const { return pid_; }
  void end() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }

 private:
  pid_t pid_;
};

TEST(SampledProcess, KeepsItsPeaksWhenTheProcessEnds) {
  Child child;
  SampledProcess process(child.pid());
  ASSERT_TRUE(process.tick(1));
  EXPECT_EQ(process.pass(2, {}), SampledProcess::PassOutcome::kRead);
  child.end();
  EXPECT_FALSE(process.tick(3));
  EXPECT_EQ(process.pass(4, {}), SampledProcess::PassOutcome::kEnded);
  EXPECT_EQ(process.endedAtMs(), 3);
  EXPECT_GT(process.rss.bytes, 0);
  EXPECT_GT(process.pss.bytes, 0);
  EXPECT_EQ(process.passes(), 1u);
}

TEST(SampledProcess, IsGoneForAZombie) {
  Child child;
  SampledProcess process(child.pid());
  kill(child.pid(), SIGKILL);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOWAIT);
  EXPECT_FALSE(process.tick(1));
  EXPECT_THROW(SampledProcess{child.pid()}, Error);
}

struct Events {
  std::mutex mutex;
  std::vector<SamplerEvent> list;
  void add(SamplerEvent event) {
    const std::lock_guard lock(mutex);
    list.push_back(std::move(event));
  }
};

TEST(Sampler, ServesAPassAndReportsAtTheEnd) {
  Events events;
  Child child;
  Sampler sampler({10, 0, {}}, [&events](SamplerEvent event) { events.add(std::move(event)); });
  sampler.add(child.pid());
  sampler.add(child.pid());
  sampler.start();
  const uint64_t ticket = sampler.requestPass();
  for (bool done = false; !done;) {
    usleep(1000);
    const std::lock_guard lock(events.mutex);
    for (const auto& event : events.list) done |= std::holds_alternative<PassDone>(event);
  }
  sampler.requestStop();
  sampler.join();
  const auto& report = std::get<SamplerReport>(events.list.back());
  ASSERT_EQ(report.processes.size(), 1u);
  EXPECT_EQ(report.processes[0].passes, 1u);
  EXPECT_EQ(report.passes, 1u);
  for (const auto& event : events.list) {
    const auto* done = std::get_if<PassDone>(&event);
    if (done == nullptr) continue;
    EXPECT_EQ(done->tickets, std::vector<uint64_t>{ticket});
    EXPECT_EQ(done->result->footprint_bytes, done->result->sum_pss_bytes);
  }
}

TEST(Sampler, TellsThoseWhoWaitWhenItIsStopped) {
  Events events;
  Sampler sampler({1000, 0, {}}, [&events](SamplerEvent event) { events.add(std::move(event)); });
  sampler.requestPass();
  sampler.requestStop();
  sampler.start();
  sampler.join();
  ASSERT_EQ(events.list.size(), 2u);
  EXPECT_EQ(std::get<PassDone>(events.list[0]).result, nullptr);
}

}  // namespace
}  // namespace memdrift
