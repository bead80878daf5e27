// SPDX-License-Identifier: MIT
// What group_estimate.cc and group_sums.cc share.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

#include "proc/group_estimate.h"

namespace memdrift {

inline constexpr double kInfinite = std::numeric_limits<double>::infinity();

inline double knownOr(double value, double otherwise) {
  return std::isnan(value) ? otherwise : value;
}

inline double positive(double value) { return std::max(0.0, value); }

// Of all members. "Old" pages are those of the pass, "new" ones came since.
struct GroupEstimate::Sums {
  MemoryParts rss{}, pss{}, low{}, value{}, high{};
  MemoryParts missing{};  // what PSS of old pages lacks to RSS: it can rise by that
  double spare = 0;       // what huge pages can add to `high`
  double gone = 0;        // of files, that members can have given back or come to share
  double joined = 0;      // by which shares of files were read too high, since others came
  double other_low = 0, other_value = 0, other_high = 0;  // shared memory of no known file
  double largest_shmem = 0;                               // of one that has more than at the pass
  double fault_bytes = 0;                                 // as the system counts them
  double unseen = 0, unseen_own = 0, peaks = 0;
  double uss = 0, own = 0, own_rest = 0;    // `own`: still there; `own_rest`: perhaps of files
  double joined_anon = 0, joined_rest = 0;  // that others can have come to share
  size_t members = 0;
};

inline double missingAnon(const MemberRead& read) {
  return positive(read.anon - read.pss[kAnonPart]);
}

}  // namespace memdrift
