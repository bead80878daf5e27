// SPDX-License-Identifier: MIT
#include "tracker/sampling.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <set>
#include <thread>
#include <vector>

namespace memdrift {

// What samples stand for adds up to what was allocated, whatever the sizes.
TEST(SampleClock, StandsForWhatWasAllocated) {
  constexpr uint64_t kMean = 64 << 10;
  std::mt19937_64 random(1);
  SampleClock clock;
  clock.seed(12345);
  int64_t until = clock.next(kMean);
  double allocated = 0, told = 0;
  for (int i = 0; i < 5'000'000; i++) {
    const uint64_t bytes = random() % 10 == 0 ? random() % 300'000 : random() % 500;
    allocated += static_cast<double>(bytes);
    until -= static_cast<int64_t>(bytes);
    if (until > 0) continue;
    until = clock.next(kMean);
    told += static_cast<double>(SampleClock::weightOf(bytes, kMean));
  }
  EXPECT_NEAR(told / allocated, 1, 0.01);
}

TEST(SampledBlocks, AgreesWithASet) {
  SampledBlocks blocks;
  std::set<uintptr_t> expected;
  std::mt19937_64 random(2);
  for (int i = 0; i < 300'000; i++) {
    const uintptr_t address = (random() % 30'000 + 1) * 16;
    if (expected.contains(address)) {
      ASSERT_TRUE(blocks.mayHave(address));
      ASSERT_TRUE(blocks.remove(address));
      expected.erase(address);
    } else {
      ASSERT_FALSE(blocks.remove(address));
      ASSERT_TRUE(blocks.add(address));
      expected.insert(address);
    }
  }
  blocks.clear();
  for (const uintptr_t address : expected) ASSERT_FALSE(blocks.mayHave(address));
}

TEST(SampledBlocks, SaysWhenItIsFull) {
  SampledBlocks blocks;
  size_t count = 0;
  while (count < 1'000'000 && blocks.add((count + 1) * 16)) count++;
  EXPECT_GT(count, 50'000U);
  EXPECT_LT(count, 1'000'000U);
  EXPECT_FALSE(blocks.mayHave(0x7000'0000'0000) && blocks.remove(0x7000'0000'0000));
}

TEST(SampledBlocks, IsForManyThreads) {
  SampledBlocks blocks;
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (uintptr_t own = 1; own <= 4; own++)
    threads.emplace_back([&, own] {
      for (int round = 0; round < 200; round++) {
        for (uintptr_t i = 0; i < 200; i++) bad += !blocks.add(own << 32 | i << 4);
        for (uintptr_t i = 0; i < 200; i++) bad += !blocks.remove(own << 32 | i << 4);
      }
    });
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(bad, 0);
}

}  // namespace memdrift
