// SPDX-License-Identifier: MIT
// What each allocation site holds now, and what it held when all of them together held the most.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace memdrift {

struct SiteTotal {
  int64_t bytes = 0;
  int64_t count = 0;
};

// A damaged capture can have sizes that no sum holds: then the sum is wrong, and no more.
constexpr int64_t wrappingSum(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) + static_cast<uint64_t>(b));
}

constexpr int64_t wrappingDifference(int64_t a, int64_t b) {
  return static_cast<int64_t>(static_cast<uint64_t>(a) - static_cast<uint64_t>(b));
}

// One addition per event: a site's part of the peak is put down when the site next changes, so
// that a new peak costs nothing.
class SiteTotals {
 public:
  void change(uint32_t site, int64_t bytes, int64_t count) {
    Site& one = weighed(site, bytes, count);
    if (bytes > 0) one.ever.bytes = wrappingSum(one.ever.bytes, bytes);
    if (count > 0) one.ever.count += count;
  }
  // Changes the bytes that a site holds, but not its allocations.
  void weigh(uint32_t site, int64_t bytes, int64_t count) { weighed(site, bytes, count); }
  // Changes the allocations of a site, but not the bytes that it holds.
  void made(uint32_t site, uint64_t bytes) {
    if (site >= sites_.size()) sites_.resize(site + 1);
    SiteTotal& ever = sites_[site].ever;
    ever.bytes = wrappingSum(ever.bytes, static_cast<int64_t>(bytes));
    ever.count++;
  }
  // Returns the highest total since the last call.
  int64_t takeRecentPeak() {
    const int64_t most = std::max(recent_peak_, total_);
    recent_peak_ = total_;
    return most;
  }
  // What was given back is held after all: nothing was allocated.
  void restore(uint32_t site, int64_t bytes) {
    change(site, bytes, 1);
    SiteTotal& ever = sites_[site].ever;
    if (bytes > 0) ever.bytes = wrappingDifference(ever.bytes, bytes);
    ever.count--;
  }
  // The peak is that of other totals from now on, with this number; before every change.
  void followPeak(uint64_t number) {
    follows_ = true;
    peak_number_ = number;
  }
  // Returns true when the site holds nothing, and held nothing at the peak.
  bool isIdle(uint32_t site) const {
    if (site >= sites_.size()) return true;
    const Site& one = sites_[site];
    const auto is_empty = [](const SiteTotal& total) {
      return total.bytes == 0 && total.count == 0;
    };
    return is_empty(one.now) && (one.peak_number != peak_number_ || is_empty(one.at_peak));
  }
  // Clears an idle site, so that its number can be used again.
  void reset(uint32_t site) {
    if (site < sites_.size()) sites_[site] = {};
  }
  // After the last event.
  void finish() {
    if (total_ > peak_ && !follows_) setPeak();
    for (Site& one : sites_) keep(one);
  }

  int64_t totalBytes() const { return total_; }
  // Also before finish().
  int64_t peakBytes() const { return total_ > peak_ ? total_ : peak_; }
  uint64_t changes() const { return changes_; }
  // Changes until the peak, after finish().
  uint64_t peakChange() const { return peak_change_; }
  uint64_t peakNumber() const { return peak_number_; }
  uint32_t siteCount() const { return static_cast<uint32_t>(sites_.size()); }
  const SiteTotal& now(uint32_t site) const { return sites_[site].now; }
  // All that it ever allocated.
  const SiteTotal& ever(uint32_t site) const { return sites_[site].ever; }
  const SiteTotal& atPeak(uint32_t site) const { return sites_[site].at_peak; }

 private:
  struct Site {
    SiteTotal now;
    SiteTotal at_peak;
    SiteTotal ever;
    uint64_t peak_number = 0;  // that at_peak is of
  };

  Site& weighed(uint32_t site, int64_t bytes, int64_t count) {
    if (site >= sites_.size()) sites_.resize(site + 1);
    // Only a later release shows that a total was a peak.
    if (bytes < 0 && total_ > recent_peak_) {
      recent_peak_ = total_;
      if (total_ > peak_ && !follows_) setPeak();
    }
    changes_++;
    Site& one = sites_[site];
    keep(one);
    one.now.bytes = wrappingSum(one.now.bytes, bytes);
    one.now.count += count;
    total_ = wrappingSum(total_, bytes);
    return one;
  }
  void setPeak() {
    peak_ = total_;
    peak_number_++;
    peak_change_ = changes_;
  }
  void keep(Site& one) const {
    if (one.peak_number == peak_number_) return;
    one.at_peak = one.now;
    one.peak_number = peak_number_;
  }

  std::vector<Site> sites_;
  int64_t total_ = 0;
  int64_t peak_ = 0;
  int64_t recent_peak_ = 0;  // since takeRecentPeak()
  uint64_t peak_number_ = 0;
  uint64_t changes_ = 0;
  uint64_t peak_change_ = 0;
  bool follows_ = false;
};

}  // namespace memdrift
