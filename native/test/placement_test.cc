// SPDX-License-Identifier: MIT
#include "shm/placement.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace memdrift {

namespace {

constexpr uint64_t kPage = kPageBytes;

PlacementRequest lowest(uint64_t pages, uint64_t capacity_pages) {
  return {Placement::kLowest, capacity_pages * kPage, pages * kPage, 0};
}

}  // namespace

TEST(PlaceExtent, TakesTheLowestGapThatFits) {
  const std::vector<Extent> used{{0, kPage}, {2 * kPage, kPage}, {5 * kPage, kPage}};
  EXPECT_EQ(placeExtent(lowest(1, 10), used), 1 * kPage);
  EXPECT_EQ(placeExtent(lowest(2, 10), used), 3 * kPage);
  EXPECT_EQ(placeExtent(lowest(4, 10), used), 6 * kPage);
  EXPECT_EQ(placeExtent(lowest(5, 10), used), std::nullopt);
}

TEST(PlaceExtent, UsesTheWholeCapacityAndNoMore) {
  EXPECT_EQ(placeExtent(lowest(10, 10), {}), uint64_t{0});
  EXPECT_EQ(placeExtent(lowest(11, 10), {}), std::nullopt);
}

TEST(PlaceExtent, RotatesThroughThreeTimesWhatIsLive) {
  uint64_t cursor = 0;
  std::vector<uint64_t> places;
  for (int i = 0; i < 6; i++) {
    const auto place = placeExtent({Placement::kRotate, 100 * kPage, kPage, cursor}, {});
    ASSERT_TRUE(place);
    places.push_back(*place / kPage);
    cursor = *place + kPage;
  }
  EXPECT_EQ(places, (std::vector<uint64_t>{0, 1, 2, 0, 1, 2}));
}

TEST(PlaceExtent, NeverOverlapsAndFillsUpUnderRandomUse) {
  std::mt19937 random(42);
  for (const Placement placement : {Placement::kLowest, Placement::kRotate}) {
    std::vector<Extent> used;
    uint64_t cursor = random();
    for (int step = 0; step < 5000; step++) {
      const uint64_t bytes = (1 + random() % 8) * kPage;
      const auto place = placeExtent({placement, 64 * kPage, bytes, cursor}, used);
      if (!place || random() % 3 == 0) {
        if (!used.empty()) used.erase(used.begin() + static_cast<long>(random() % used.size()));
        continue;
      }
      cursor = *place + bytes;
      ASSERT_LE(*place + bytes, 64 * kPage);
      size_t at = 0;
      while (at < used.size() && used[at].offset_bytes < *place) at++;
      if (at > 0) {
        ASSERT_LE(used[at - 1].offset_bytes + used[at - 1].extent_bytes, *place);
      }
      if (at < used.size()) {
        ASSERT_LE(*place + bytes, used[at].offset_bytes);
      }
      used.insert(used.begin() + static_cast<long>(at), {*place, bytes});
    }
  }
}

TEST(GapsBetween, AreWhatIsNotUsed) {
  const std::vector<Extent> gaps = gapsBetween({{kPage, kPage}, {2 * kPage, kPage}}, 5 * kPage);
  ASSERT_EQ(gaps.size(), size_t{2});
  EXPECT_EQ(gaps[0].offset_bytes, uint64_t{0});
  EXPECT_EQ(gaps[1].offset_bytes, 3 * kPage);
  EXPECT_EQ(gaps[1].extent_bytes, 2 * kPage);
}

}  // namespace memdrift
