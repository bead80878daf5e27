// SPDX-License-Identifier: MIT
// When a sampler ticks and when it may afford a pass over smaps. Pure arithmetic on the times that
// it is given, so that a test can hold the clock.
#pragma once

#include <cstdint>

namespace memdrift {

// CLOCK_MONOTONIC, which a condition variable of the standard library waits on too.
int64_t steadyNs() noexcept;

// Ticks at whole multiples of the interval from the start, so that a late one delays no other.
class TickClock {
 public:
  TickClock(int64_t start_ns, int64_t interval_ns)
      : interval_ns_(interval_ns), next_ns_(start_ns) {}

  int64_t nextNs() const { return next_ns_; }
  bool due(int64_t now_ns) const { return now_ns >= next_ns_; }
  // Moves past `now_ns`. Ticks that were missed altogether are counted, not made up for: two
  // samples at once say no more than one.
  void ticked(int64_t now_ns);
  uint64_t missed() const { return missed_; }

 private:
  int64_t interval_ns_;
  int64_t next_ns_;
  uint64_t missed_ = 0;
};

// A bucket of CPU time that fills with `budget_percent` of the wall time and from which everything
// that the sampler's thread does is taken, ticks and requested passes too.
class PassClock {
 public:
  // `credit_ns`: what it has to spend at the beginning, taken back out of what comes in first.
  PassClock(int64_t start_ns, double budget_percent, int64_t credit_ns = 0);

  // Whether a pass that is expected to cost `predicted_ns` of CPU may start; `spent_ns` is the CPU
  // time of the thread so far.
  bool due(int64_t now_ns, int64_t spent_ns, int64_t predicted_ns);
  // What a pass may borrow of the time to come.
  int64_t loanNs() const;
  void passed(int64_t now_ns) { last_pass_ns_ = now_ns; }
  // How often due() said no for want of budget.
  uint64_t skipped() const { return skipped_; }

 private:
  double budget_fraction_;
  double credit_ns_ = 0;
  double owed_ns_ = 0;
  int64_t now_ns_;
  int64_t spent_ns_ = 0;
  int64_t last_pass_ns_;
  uint64_t skipped_ = 0;
};

// Says how much credit a pass is worth now: its cost, when it would narrow the bounds much and
// memory is at rest, or when a verdict depends on it; more while memory moves, and most when it
// would narrow nothing, so that credit is left for the time when memory comes to rest. After a
// great change that rests a pass may borrow.
class PassPlan {
 public:
  struct Need {
    double width_bytes = 0;  // of the group's bounds
    double sum_rss_bytes = 0;
    double fault_bytes = 0;  // of the group's members
    bool hangs_on_it = false;
  };
  struct Price {
    double times;  // what the pass costs
    bool may_borrow;
  };
  Price price(const Need& need);
  // A pass left the bounds this wide: what processes outside can do no pass narrows.
  void passed(double width_bytes) { left_width_ = width_bytes; }

 private:
  double fault_bytes_before_ = 0, sum_rss_before_ = 0, left_width_ = 0;
};

}  // namespace memdrift
