// SPDX-License-Identifier: MIT
// What each allocation site held at some moments of a capture: at equal distances, at its marks and
// at its peak.
#pragma once

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "analysis/site_totals.h"

namespace memdrift {

// By how much a site changed since the moment before.
struct SiteChange {
  uint32_t moment;
  uint32_t site;
  int64_t bytes;
  int64_t count;
};

struct TimelineMoment {
  uint64_t time_ns;
  std::string label;  // of a mark; empty: none
  bool is_peak;
};

class Timeline {
 public:
  struct Plan {
    uint64_t start_ns = 0;
    uint64_t end_ns = 0;
    uint32_t intervals = 0;
    uint64_t peak_change = 0;  // SiteTotals::peakChange() of the whole capture
  };

  // A capture can have any number of marks, and each costs a look at all sites: they get what the
  // others leave. Those without which the rest would be misread, the peak and the end, always are.
  static constexpr size_t kMostMoments = 1000;

  explicit Timeline(const Plan& plan) : plan_(plan), last_ns_(plan.start_ns) {
    // From the first to the last there is one more than there are intervals.
    plan_.intervals = std::min(plan_.intervals, static_cast<uint32_t>(kMostMoments) - 3);
  }

  // Before each change of `heap`: the peak is at one of them.
  void beforeChange(const SiteTotals& heap) {
    if (heap.changes() == plan_.peak_change && !has_peak_) takePeak(heap);
  }
  // The capture has come to that time.
  void advance(uint64_t time_ns, const SiteTotals& heap) {
    last_ns_ = std::max(last_ns_, time_ns);
    const uint64_t distance_ns = (plan_.end_ns - plan_.start_ns) / std::max(plan_.intervals, 1U);
    if (time_ns < plan_.start_ns + distance_ns * taken_ || taken_ > plan_.intervals) return;
    take({time_ns, "", false}, heap);
    // A damaged capture has any times.
    const uint64_t reached = distance_ns == 0 ? taken_ : (time_ns - plan_.start_ns) / distance_ns;
    taken_ = static_cast<uint32_t>(std::min<uint64_t>(reached, plan_.intervals)) + 1;
  }
  void mark(uint64_t time_ns, std::string label, const SiteTotals& heap) {
    const size_t peak_and_end = has_peak_ ? 1 : 2;
    const size_t equal = plan_.intervals + 1 - std::min(taken_, plan_.intervals + 1);
    if (moments_.size() + peak_and_end + equal >= kMostMoments) return;
    take({time_ns, std::move(label), false}, heap);
  }
  void finish(const SiteTotals& heap) {
    if (!has_peak_) takePeak(heap);
    take({plan_.end_ns, "", false}, heap);
  }

  const std::vector<TimelineMoment>& moments() const { return moments_; }
  const std::vector<SiteChange>& changes() const { return changes_; }
  bool hasChanges(uint32_t site) const { return site < is_changed_.size() && is_changed_[site]; }

 private:
  void takePeak(const SiteTotals& heap) {
    has_peak_ = true;
    take({last_ns_, "", true}, heap);
  }
  void take(TimelineMoment moment, const SiteTotals& heap) {
    const auto number = static_cast<uint32_t>(moments_.size());
    moments_.push_back(std::move(moment));
    known_.resize(heap.siteCount());
    is_changed_.resize(heap.siteCount());
    for (uint32_t site = 0; site < heap.siteCount(); site++) {
      const SiteTotal& now = heap.now(site);
      SiteTotal& before = known_[site];
      if (now.bytes == before.bytes && now.count == before.count) continue;
      changes_.push_back(
          {number, site, wrappingDifference(now.bytes, before.bytes), now.count - before.count});
      before = now;
      is_changed_[site] = true;
    }
  }

  Plan plan_;
  uint64_t last_ns_;
  uint32_t taken_ = 0;
  bool has_peak_ = false;
  std::vector<SiteTotal> known_;
  std::vector<bool> is_changed_;  // by site
  std::vector<TimelineMoment> moments_;
  std::vector<SiteChange> changes_;
};

}  // namespace memdrift
