// SPDX-License-Identifier: MIT
#include "analysis/child_peaks.h"

#include <algorithm>

namespace memdrift {

namespace {

constexpr size_t kMostChildren = 10'000;

}  // namespace

void ChildPeaks::add(const ChildRecord& child) {
  const ChildPayload& fixed = child.fixed;
  if (fixed.pid == 0) {
    ended_peak_bytes_ = fixed.peak_rss_bytes;
    return;
  }
  if (fixed.is_new != 0) {
    places_.erase(fixed.pid);
    if (children_.size() >= kMostChildren) {
      left_out_++;
      return;
    }
    places_[fixed.pid] = children_.size();
    children_.push_back({fixed.pid, fixed.parent_pid, 0, false, "", ""});
  }
  const auto place = places_.find(fixed.pid);
  if (place == places_.end()) return;
  ChildPeak& known = children_[place->second];
  known.peak_rss_bytes = std::max(known.peak_rss_bytes, fixed.peak_rss_bytes);
  known.is_node = fixed.is_node != 0;
  if (child.name.empty()) return;
  known.name = child.name;
  known.arguments = child.arguments;
}

}  // namespace memdrift
