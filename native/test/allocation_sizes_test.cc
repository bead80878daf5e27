// SPDX-License-Identifier: MIT
#include "analysis/allocation_sizes.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>

#include "analysis/live_memory.h"

namespace memdrift {

namespace {

Event event(EventType type, uint64_t address, uint64_t bytes) {
  Event result;
  result.type = type;
  result.stream = 1;
  result.address = address;
  result.bytes = result.weight = bytes;
  result.protection = PROT_READ | PROT_WRITE;
  result.flags = MAP_PRIVATE | MAP_ANONYMOUS;
  result.advice = MADV_DONTNEED;
  return result;
}

AllocationSizes::Sum allFunctions(const AllocationSizes& sizes) {
  AllocationSizes::Sum sum;
  for (size_t hook = 0; hook < kHookCount; hook++)
    sum.add(sizes.ofFunction(static_cast<HookId>(hook)));
  return sum;
}

AllocationSizes::Sum allClasses(const AllocationSizes& sizes) {
  AllocationSizes::Sum sum;
  for (size_t i = 0; i < AllocationSizes::kClasses; i++) sum.add(sizes.ofClass(i));
  return sum;
}

}  // namespace

TEST(AllocationSizes, ClassesAreBoundedByPowersOfTwo) {
  AllocationSizes sizes;
  for (const uint64_t bytes : {0UL, 1UL, 2UL, 3UL, 4UL, 1023UL, 1024UL, UINT64_MAX})
    sizes.add(HookId::k_calloc, bytes, 10);
  const auto count = [&](size_t size_class) { return sizes.ofClass(size_class).count; };
  EXPECT_EQ(count(0), 1);   // 0
  EXPECT_EQ(count(1), 1);   // 1
  EXPECT_EQ(count(2), 2);   // 2, 3
  EXPECT_EQ(count(3), 1);   // 4
  EXPECT_EQ(count(10), 1);  // 1023
  EXPECT_EQ(count(11), 1);  // 1024
  EXPECT_EQ(count(64), 1);
  EXPECT_EQ(sizes.ofFunction(HookId::k_calloc).count, 8);
  EXPECT_EQ(sizes.ofFunction(HookId::k_calloc).bytes, 80);
  EXPECT_EQ(sizes.ofFunction(HookId::k_malloc).count, 0);
}

// Whatever is replayed, the sums are those of the replay itself.
TEST(AllocationSizes, AddUpToTheTotals) {
  std::mt19937_64 random(3);
  LiveMemory live;
  const EventType types[] = {EventType::alloc,   EventType::alloc,  EventType::alloc,
                             EventType::free,    EventType::map,    EventType::unmap,
                             EventType::protect, EventType::advise, EventType::remap};
  for (int i = 0; i < 20'000; i++) {
    const EventType type = types[random() % std::size(types)];
    const bool is_block = type == EventType::alloc || type == EventType::free;
    Event one = is_block ? event(type, random() % 500 * 16, random() % 5000 >> random() % 12)
                         : event(type, (random() % 50 + 1) << 16, (random() % 20 + 1) << 12);
    if (is_block) one.hook = static_cast<HookId>(random() % kHeapHookCount);
    if (random() % 3 == 0) one.weight *= 10;
    if (random() % 4 == 0) one.protection = PROT_NONE;
    if (random() % 5 == 0) one.flags = MAP_SHARED;
    one.is_file = random() % 5 == 0;
    one.old_address = (random() % 50 + 1) << 16;
    one.old_bytes = 1 << 12;
    live.onEvent(one);
  }
  live.finish();
  const AllocationSizes& sizes = live.sizes();
  EXPECT_EQ(allFunctions(sizes).bytes, live.counts().total_bytes);
  EXPECT_EQ(allClasses(sizes).count, live.counts().allocations);
  EXPECT_GT(sizes.ofFunction(HookId::k_mmap).bytes, 0);
  EXPECT_GT(sizes.ofFunction(HookId::k_mprotect).bytes, 0);
  EXPECT_GT(sizes.ofFunction(HookId::k_mremap).bytes, 0);
  EXPECT_EQ(sizes.ofFunction(HookId::k_munmap).count, 0);
}

}  // namespace memdrift
