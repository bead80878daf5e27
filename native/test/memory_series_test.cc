// SPDX-License-Identifier: MIT
#include "analysis/memory_series.h"

#include <gtest/gtest.h>

namespace memdrift {

namespace {

SeriesRow row(uint64_t time_ns, uint64_t anon_bytes) {
  SeriesRow result = {};
  result.memory.time_ns = time_ns;
  result.memory.rss_anon_bytes = anon_bytes;
  result.memory.rss_file_bytes = kUnknown;
  return result;
}

TEST(MemorySeries, FewRowsStayAsTheyAre) {
  MemorySeries series;
  for (uint64_t i = 0; i < 100; i++) series.add(row(i, 1000 - i));
  series.finish();
  ASSERT_EQ(series.rows().size(), 100U);
  EXPECT_EQ(series.rows()[99].memory.rss_anon_bytes, 901U);
}

TEST(MemorySeries, OfManyTheHighestStayInTheirOrder) {
  MemorySeries series;
  constexpr uint64_t kRows = 1'000'003;
  for (uint64_t i = 0; i < kRows; i++) series.add(row(i, i == 777'777 || i == 3 ? 1 << 30 : i % 7));
  series.finish();
  EXPECT_EQ(series.seen(), kRows);
  EXPECT_LE(series.rows().size(), MemorySeries::kMostRows);
  EXPECT_GE(series.rows().size(), MemorySeries::kMostRows / 2 - 1);
  int peaks = 0;
  for (size_t i = 0; i < series.rows().size(); i++) {
    peaks += series.rows()[i].memory.rss_anon_bytes == 1 << 30;
    if (i > 0) {
      ASSERT_GT(series.rows()[i].memory.time_ns, series.rows()[i - 1].memory.time_ns);
    }
  }
  EXPECT_EQ(peaks, 2);
}

}  // namespace

}  // namespace memdrift
