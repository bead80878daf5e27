// SPDX-License-Identifier: MIT
// Definitions that group_estimate.cc and group_sums.cc share.
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

// Sums over all members. "Old" pages are those of the pass; "new" ones came later.
struct GroupEstimate::Sums {
  MemoryParts rss{}, pss{}, low{}, value{}, high{};
  MemoryParts missing{};  // RSS less PSS of old pages: PSS can rise by this
  double spare = 0;       // most that huge pages can add to `high`
  double gone = 0;        // of files, possibly given back or shared further
  double joined = 0;      // possible excess of read shares of files, since sharers came
  double other_low = 0, other_value = 0, other_high = 0;  // shared memory of no known file
  double closed_low = 0;     // of shared memory that no process outside can map
  double largest_shmem = 0;  // of one that has more than at the pass
  double fault_bytes = 0;    // as the system counts them
  double unseen = 0, unseen_own = 0, peaks = 0;
  double uss = 0, own = 0, own_rest = 0;    // `own`: still there; `own_rest`: perhaps of files
  double joined_anon = 0, joined_rest = 0;  // possibly shared by others since
  size_t members = 0;
};

inline double missingAnon(const MemberRead& read) {
  return positive(read.anon - read.pss[kAnonPart]);
}

}  // namespace memdrift
