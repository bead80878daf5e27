// SPDX-License-Identifier: MIT
#include "test/store_model.h"

#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <thread>
#include <vector>

#include "test/crash_scene.h"
#include "test/model_course.h"

namespace memdrift {

namespace {

constexpr uint64_t kSteps = 20'000;

void expectAgreement(uint64_t seed) {
  RunCounts counts;
  const auto failure = run({seed, kSteps}, counts);
  EXPECT_FALSE(failure) << textOf(*failure, seed);
  EXPECT_GT(counts.deaths_within, uint64_t{0});
  EXPECT_GT(counts.refusals, uint64_t{0});
}

}  // namespace

TEST(StoreModel, AgreesWithTheStoreOnWhatItAlwaysDoes) { expectAgreement(1); }

TEST(StoreModel, AgreesWithTheStoreOnWhatItNeverDidBefore) {
  expectAgreement(std::random_device()());
}

TEST(StoreModelShrink, LeavesTheStepsWithoutWhichNothingFails) {
  std::vector<Step> steps(1000);
  for (uint32_t i = 0; i < steps.size(); i++) steps[i].number = i;
  // Fails once it has seen 17 and then 600.
  const auto replay = [](const std::vector<Step>& some) -> std::optional<Stop> {
    bool seen = false;
    for (size_t i = 0; i < some.size(); i++) {
      seen = seen || some[i].number == 17;
      if (seen && some[i].number == 600) return Stop{i, "both"};
    }
    return std::nullopt;
  };
  const std::vector<Step> left = shrink(steps, replay);
  ASSERT_EQ(left.size(), size_t{2});
  EXPECT_EQ(left[0].number, uint32_t{17});
  EXPECT_EQ(left[1].number, uint32_t{600});
}

// Threads of one attachment, which look for objects that others of them have just removed. What one
// reads stays as it is, though the slots of what the others look for are used again.
TEST(StoreModelThreads, KeepWhatTheyReadWhileOthersLookForWhatIsGone) {
  auto store = Store::create({freshStoreName(), kSceneBytes}, {});
  std::atomic<uint64_t> ids[4] = {};
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (uint32_t seed = 0; seed < 4; seed++) {
    threads.emplace_back([&, seed] {
      std::mt19937 random(seed);
      for (int i = 0; i < 5000; i++) {
        const uint64_t id = makeSealed(*store, 1 + random() % 5000);
        ids[random() % 4] = id;
        const View view = store->get(id);
        store->remove(id);
        if (i % 64 == 0) store->giveBack(0, kTimeoutUs);
        isGone(*store, ids[random() % 4]);
        isGone(*store, ids[random() % 4]);
        wrong += isWhole(view) ? 0 : 1;
        store->release(id);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store->stats().live_bytes, uint64_t{0});
}

}  // namespace memdrift
