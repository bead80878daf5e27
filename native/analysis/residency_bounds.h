// SPDX-License-Identifier: MIT
// Bounds of a peak between two looks at the mappings.
#pragma once

#include <algorithm>
#include <cstdint>

namespace memdrift {

// Between two looks a mapping of the heap's kinds only gains pages, unless the program gives some
// back by a call that is recorded. The value at a moment has the pages of the look before it. It is
// too low by at most the pages that the next look finds in addition and the pages that came and
// went in between. All in bytes. Swapped pages, and pages given back by calls that no hook sees,
// are beyond these bounds.
class ResidencyBounds {
 public:
  // Changes the sum of bytes that are usable and not resident, which is the most that can be
  // missed.
  void unseen(int64_t change) {
    unseen_ += change;
    most_unseen_ = std::max(most_unseen_, unseen_);
  }
  // Adds pages that a look found in addition.
  void gained(uint64_t bytes) { missed_ += bytes; }
  // Adds pages that may have gone with a mapping before a look saw them.
  void goneUnseen(uint64_t bytes) { missed_ += bytes; }
  // Adds bytes that may be attributed to the wrong range: the value may be too high or too low.
  void unsure(uint64_t bytes) {
    missed_ += bytes;
    excess_ += bytes;
  }
  // Adds bytes of the value that may be gone already.
  void mayBeGone(uint64_t bytes) { excess_ += bytes; }

  // Changes the sum of bytes that count without a look.
  void assume(int64_t change) {
    assumed_ += change;
    most_assumed_ = std::max(most_assumed_, assumed_);
  }

  // Ends the time between two looks. `peak_bytes`: the highest value in it.
  void close(int64_t peak_bytes) {
    const int64_t missed = std::min(boundedBytes(missed_), std::max<int64_t>(most_unseen_, 0));
    const int64_t excess = boundedBytes(excess_) + std::max<int64_t>(most_assumed_, 0);
    low_ = std::max(low_, peak_bytes - excess);
    high_ = std::max(high_, peak_bytes + missed);
    missed_ = excess_ = 0;
    most_unseen_ = unseen_;
    most_assumed_ = assumed_;
  }

  int64_t unseenBytes() const { return unseen_; }
  int64_t lowBytes() const { return low_; }    // of the peak
  int64_t highBytes() const { return high_; }  // of the peak

 private:
  // A damaged capture can have any number.
  static int64_t boundedBytes(uint64_t bytes) {
    return static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX / 4));
  }

  int64_t unseen_ = 0;
  int64_t most_unseen_ = 0;  // since the last look
  int64_t assumed_ = 0;
  int64_t most_assumed_ = 0;  // since the last look
  uint64_t missed_ = 0;
  uint64_t excess_ = 0;
  int64_t low_ = 0;
  int64_t high_ = 0;
};

}  // namespace memdrift
