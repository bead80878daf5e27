// SPDX-License-Identifier: MIT
#include "proc/pass_clock.h"

#include <algorithm>
#include <chrono>
#include <cmath>

namespace memdrift {

namespace {

// Passes that follow each other more closely than this say little that is new.
constexpr int64_t kShortestGapNs = 250'000'000;
// Credit of a quiet time is kept for so long only: a burst of passes after an hour of rest would be
// within the budget on average and yet be felt.
constexpr int64_t kCreditWindowNs = 10'000'000'000;
// Parts of the group's RSS: a change that a pass should see, and between two ticks one that shows
// that the group is not at rest.
constexpr double kChange = 0.002;
constexpr double kUnrest = 0.001;
constexpr double kMovingTimes = 3, kIdleTimes = 6;
constexpr double kGreatChange = 0.05;

}  // namespace

int64_t steadyNs() noexcept {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

void TickClock::ticked(int64_t now_ns) {
  const int64_t steps = std::max<int64_t>(0, now_ns - next_ns_) / interval_ns_;
  missed_ += static_cast<uint64_t>(steps);
  next_ns_ += (steps + 1) * interval_ns_;
}

PassClock::PassClock(int64_t start_ns, double budget_percent, int64_t credit_ns)
    : budget_fraction_(budget_percent / 100),
      credit_ns_(static_cast<double>(credit_ns)),
      owed_ns_(static_cast<double>(credit_ns)),
      now_ns_(start_ns),
      last_pass_ns_(start_ns) {}

bool PassClock::due(int64_t now_ns, int64_t spent_ns, int64_t predicted_ns) {
  const double earned = budget_fraction_ * static_cast<double>(now_ns - now_ns_);
  const double paid_back = std::min(earned, owed_ns_);
  owed_ns_ -= paid_back;
  credit_ns_ += earned - paid_back;
  credit_ns_ -= static_cast<double>(spent_ns - spent_ns_);
  now_ns_ = now_ns;
  spent_ns_ = spent_ns;
  const double predicted = static_cast<double>(predicted_ns);
  // A pass that costs more than the window holds must become possible at some time too.
  const double most =
      std::max(budget_fraction_ * static_cast<double>(kCreditWindowNs), 1.25 * predicted);
  credit_ns_ = std::min(credit_ns_, most);
  if (budget_fraction_ == 0 || now_ns - last_pass_ns_ < kShortestGapNs) return false;
  if (credit_ns_ >= predicted) return true;
  skipped_++;
  return false;
}

int64_t PassClock::loanNs() const {
  return static_cast<int64_t>(budget_fraction_ * static_cast<double>(kCreditWindowNs));
}

PassPlan::Price PassPlan::price(const Need& need) {
  const double sum = need.sum_rss_bytes;
  const double unrest =
      std::abs(need.fault_bytes - fault_bytes_before_) + std::abs(sum - sum_rss_before_);
  fault_bytes_before_ = need.fault_bytes;
  sum_rss_before_ = sum;
  left_width_ = std::min(left_width_, need.width_bytes);
  const double gain = need.width_bytes - left_width_;
  const bool is_at_rest = unrest <= kUnrest * sum;
  if (gain <= kChange * sum) return {kIdleTimes, false};
  if (is_at_rest) return {1, gain > kGreatChange * sum};
  return {need.hangs_on_it ? 1 : kMovingTimes, false};
}

}  // namespace memdrift
