// SPDX-License-Identifier: MIT
// The memory series of a capture, thinned to as many rows as a page can show.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "capture/format.h"

namespace memdrift {

struct SeriesRow {
  MemoryPayload memory;
  uint64_t tracked_bytes;  // of what is tracked, live then
};

// Takes rows in their order. Where there are too many, of those that stand next to each other the
// one with the highest RSS stays, so that a peak is never lost.
class MemorySeries {
 public:
  static constexpr size_t kMostRows = 4000;

  void add(const SeriesRow& row) {
    seen_++;
    if (bucket_rows_ == 0 || rssOf(row) > rssOf(bucket_)) bucket_ = row;
    if (++bucket_rows_ < rows_per_bucket_) return;
    rows_.push_back(bucket_);
    bucket_rows_ = 0;
    if (rows_.size() < kMostRows) return;
    for (size_t i = 0; i < rows_.size() / 2; i++) {
      const SeriesRow &first = rows_[2 * i], &second = rows_[2 * i + 1];
      rows_[i] = rssOf(second) > rssOf(first) ? second : first;
    }
    rows_.resize(rows_.size() / 2);
    rows_per_bucket_ *= 2;
  }
  // After the last row.
  void finish() {
    if (bucket_rows_ > 0) rows_.push_back(bucket_);
    bucket_rows_ = 0;
  }

  const std::vector<SeriesRow>& rows() const { return rows_; }
  uint64_t seen() const { return seen_; }

 private:
  static_assert(kMostRows % 2 == 0);
  // What is not known counts as nothing here.
  static uint64_t rssOf(const SeriesRow& row) {
    const auto known = [](uint64_t bytes) { return bytes == kUnknown ? 0 : bytes; };
    return known(row.memory.rss_anon_bytes) + known(row.memory.rss_file_bytes) +
           known(row.memory.rss_shmem_bytes);
  }

  std::vector<SeriesRow> rows_;
  SeriesRow bucket_ = {};
  uint64_t bucket_rows_ = 0;
  uint64_t rows_per_bucket_ = 1;
  uint64_t seen_ = 0;
};

}  // namespace memdrift
