// SPDX-License-Identifier: MIT
#include "tracker/mapping_log.h"

#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <thread>
#include <vector>

namespace memdrift {

namespace {

Event numbered(uint64_t number) {
  Event event;
  event.address = number;
  event.bytes = ~number;
  return event;
}

}  // namespace

TEST(MappingLog, GivesBackInOrderThroughManyRounds) {
  const auto log = std::make_unique<MappingLog>();
  uint64_t taken = 0;
  for (uint64_t put = 0; put < 5 * MappingLog::kEntries;) {
    for (int i = 0; i < 1000; i++) log->put(numbered(put++));
    for (Event event; log->take(event); taken++) ASSERT_EQ(event, numbered(taken));
    ASSERT_EQ(taken, put);
  }
  EXPECT_TRUE(log->isWhole());
}

TEST(MappingLog, SaysThatItWasFull) {
  const auto log = std::make_unique<MappingLog>();
  for (uint64_t i = 0; i < MappingLog::kEntries; i++) log->put(numbered(i));
  EXPECT_TRUE(log->isWhole());
  log->put(numbered(0));
  EXPECT_FALSE(log->isWhole());
  uint64_t taken = 0;
  for (Event event; log->take(event); taken++) ASSERT_EQ(event, numbered(taken));
  EXPECT_EQ(taken, MappingLog::kEntries);
}

TEST(MappingLog, AsksForTheWriterWhileThereIsRoom) {
  const auto log = std::make_unique<MappingLog>();
  uint64_t quiet = 0;
  while (!log->put(numbered(quiet))) quiet++;
  EXPECT_GE(quiet, MappingLog::kEntries / 8);
  EXPECT_LE(quiet, MappingLog::kEntries / 2);
  for (Event event; log->take(event);) continue;
  EXPECT_FALSE(log->putChange(numbered(0)));
}

TEST(MappingLog, LosesAndTearsNothingOfSeveralThreads) {
  constexpr uint64_t kThreads = 4;
  constexpr uint64_t kEach = 900;
  const auto log = std::make_unique<MappingLog>();
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < kThreads; t++)
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; i < kEach; i++) log->put(numbered(t * kEach + i));
    });
  std::set<uint64_t> seen;
  while (seen.size() < kThreads * kEach) {
    Event event;
    if (!log->take(event)) continue;
    ASSERT_EQ(event, numbered(event.address));
    ASSERT_TRUE(seen.insert(event.address).second);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(log->isWhole());
}

}  // namespace memdrift
