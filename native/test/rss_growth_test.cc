// SPDX-License-Identifier: MIT
#include "analysis/rss_growth.h"

#include <gtest/gtest.h>

#include <string_view>

namespace memdrift {

namespace {

constexpr uint64_t kMiB = 1 << 20;

MemoryPayload look(uint64_t time_ns, uint64_t anon_mib) {
  MemoryPayload row = {};
  row.time_ns = time_ns;
  row.rss_anon_bytes = anon_mib * kMiB;
  return row;
}

int64_t partOf(const Growth& growth, std::string_view cause) {
  for (const GrowthPart& part : growth.parts)
    if (part.cause == cause) return part.bytes / static_cast<int64_t>(kMiB);
  return -1;
}

}  // namespace

TEST(RssGrowth, IsNotKnownWithoutASecondLook) {
  RssGrowth growth;
  EXPECT_TRUE(growth.highest().parts.empty());
  growth.add(look(1, 10), {});
  EXPECT_TRUE(growth.highest().parts.empty());
}

TEST(RssGrowth, PassesOverRowsThatAreNoLook) {
  RssGrowth growth;
  growth.add(look(1, 10), {});
  MemoryPayload row = look(2, 1000);
  row.mapped_resident_bytes = kUnknown;
  growth.add(row, {});
  growth.add(look(3, 20), {});
  EXPECT_EQ(growth.highest().time_ns, 3U);
}

TEST(RssGrowth, AddsUpToTheHighestLook) {
  RssGrowth growth;
  growth.add(look(1, 10), {});
  MemoryPayload high = look(2, 200);
  high.rss_file_bytes = 5 * kMiB;
  high.rss_shmem_bytes = 40 * kMiB;
  high.store_resident_bytes = 38 * kMiB;
  high.mapped_resident_bytes = 60 * kMiB;
  high.malloc_resident_bytes = 50 * kMiB;
  high.stack_resident_bytes = 3 * kMiB;
  high.own_bytes = 2 * kMiB;
  growth.add(high, {.heap_bytes = 70 * kMiB});
  growth.add(look(3, 20), {});
  const Growth found = growth.highest();
  EXPECT_EQ(found.time_ns, 2U);
  // 50 of the 70 fit into malloc's heap, 20 have pages of their own.
  EXPECT_EQ(partOf(found, "tracked-blocks"), 70);
  EXPECT_EQ(partOf(found, "malloc-freed"), 0);
  EXPECT_EQ(partOf(found, "tracked-mappings"), 60);
  EXPECT_EQ(partOf(found, "thread-stacks"), 3);
  EXPECT_EQ(partOf(found, "shared-segment"), 38);
  EXPECT_EQ(partOf(found, "file"), 5);
  EXPECT_EQ(partOf(found, "memdrift"), 2);
  int64_t sum = found.rest_bytes;
  for (const GrowthPart& part : found.parts) sum += part.bytes;
  EXPECT_EQ(sum, static_cast<int64_t>(found.to_bytes - found.from_bytes));
  EXPECT_EQ(found.rest_bytes / static_cast<int64_t>(kMiB), 57);
}

TEST(RssGrowth, WhatIsLeftOfMallocsHeapIsFreed) {
  RssGrowth growth;
  growth.add(look(1, 10), {});
  MemoryPayload high = look(2, 110);
  high.malloc_resident_bytes = 90 * kMiB;
  growth.add(high, {.heap_bytes = 20 * kMiB});
  EXPECT_EQ(partOf(growth.highest(), "tracked-blocks"), 20);
  EXPECT_EQ(partOf(growth.highest(), "malloc-freed"), 70);
}

TEST(RssGrowth, DoesNotPutMappedBlocksIntoMallocsHeap) {
  RssGrowth growth;
  growth.add(look(1, 10), {});
  MemoryPayload high = look(2, 70);
  high.malloc_resident_bytes = 24 * kMiB;
  growth.add(high, {.heap_bytes = 2 * kMiB, .mapped_bytes = 33 * kMiB});
  EXPECT_EQ(partOf(growth.highest(), "tracked-blocks"), 35);
  EXPECT_EQ(partOf(growth.highest(), "malloc-freed"), 22);
  EXPECT_EQ(growth.highest().rest_bytes / static_cast<int64_t>(kMiB), 3);
}

}  // namespace memdrift
