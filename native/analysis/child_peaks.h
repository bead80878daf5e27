// SPDX-License-Identifier: MIT
// The peaks of the processes that a tracked one started.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "capture/capture_reader.h"

namespace memdrift {

struct ChildPeak {
  uint32_t pid;
  uint32_t parent_pid;
  uint64_t peak_rss_bytes;  // at least: it may have risen between the last look and its end
  bool is_node;
  std::string name;
  std::string arguments;  // each ends with a NUL
};

class ChildPeaks {
 public:
  void add(const ChildRecord& child);

  // The first 10,000, in the order in which they were seen; further ones are only counted.
  const std::vector<ChildPeak>& children() const { return children_; }
  uint64_t leftOut() const { return left_out_; }
  // The highest peak of children that ended and were waited for; kUnknown: the capture has none.
  uint64_t endedPeakBytes() const { return ended_peak_bytes_; }

 private:
  std::vector<ChildPeak> children_;
  std::unordered_map<uint32_t, size_t> places_;  // of the last child with a pid
  uint64_t left_out_ = 0;
  uint64_t ended_peak_bytes_ = kUnknown;
};

}  // namespace memdrift
