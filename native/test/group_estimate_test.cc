// SPDX-License-Identifier: MIT
#include "proc/group_estimate.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>

#include "test/memory_model.h"

namespace memdrift {
namespace {

constexpr double kSlack = 1;  // bytes, for rounding

GroupRules modelRules() {
  GroupRules rules;
  rules.file_pages_per_fault = MemoryModel::kAround;
  rules.pages_of_huge_page = MemoryModel::kHugePages;
  rules.is_closed = true;
  return rules;
}

struct Widths {
  std::vector<double> at_rest, in_motion;
  size_t far = 0, far_and_open = 0;

  void add(const Bounds& bounds, double truth, bool is_at_rest) {
    if (truth == 0) return;
    (is_at_rest ? at_rest : in_motion).push_back((bounds.high - bounds.low) / truth);
  }
  static double median(std::vector<double>& values) {
    if (values.empty()) return 0;
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }
};

class History {
 public:
  History(uint64_t seed, Widths& pss, Widths& footprint)
      : model_(seed), estimate_(modelRules()), pss_(pss), footprint_(footprint) {}

  // The first look at which a bound is wrong, in words; empty: there is none.
  std::string run() {
    for (int look = 0; look < 60 && wrong_.empty(); look++) {
      if (model_.random(8) == 0) is_calm_ = !is_calm_;
      for (size_t i = model_.random(is_calm_ ? 6 : 9); i > 0; i--) step();
      takeLook();
      if (model_.random(budget_) == 0) pass();
    }
    return wrong_;
  }

 private:
  void step() {
    model_.step(is_calm_);
    has_moved_ |= !is_calm_;
  }

  void takeLook() {
    const double highest_pss = model_.highestPss();
    const double highest_footprint = model_.highestFootprint();
    estimate_.look(model_.look());
    const GroupBounds bounds = estimate_.bounds();
    constexpr const char* kPartNames[] = {"anonymous PSS", "PSS of files", "PSS of shared memory"};
    const MemoryParts parts = model_.pssParts();
    for (size_t part = 0; part < kMemoryParts; part++) {
      Bounds of_part = bounds.pss_parts[part];
      of_part.value = parts[part];
      check(kPartNames[part], of_part, parts[part]);
    }
    check("PSS", bounds.pss, model_.pssBytes());
    check("USS", bounds.uss, model_.ussBytes());
    check("footprint", bounds.footprint, model_.footprintBytes());
    if (has_looked_ && highest_pss > bounds.pss_between + kSlack) say("PSS between looks");
    if (has_looked_ && highest_footprint > bounds.footprint_between + kSlack)
      say("footprint between looks");
    has_looked_ = true;
    if (std::isnan(bounds.read_at_ms)) return;
    pss_.add(bounds.pss, model_.pssBytes(), !has_moved_);
    footprint_.add(bounds.footprint, model_.footprintBytes(), !has_moved_);
    judge(bounds.footprint, model_.footprintBytes());
  }

  // A limit that the truth is more than a tenth away from.
  void judge(const Bounds& bounds, double truth) {
    const double limit =
        truth * (model_.random(2) == 0 ? 0.4 + 0.05 * static_cast<double>(model_.random(10))
                                       : 1.12 + 0.1 * static_cast<double>(model_.random(10)));
    footprint_.far++;
    if (bounds.low <= limit * 1.02 && bounds.high >= limit * 0.98) footprint_.far_and_open++;
  }

  void pass() {
    has_moved_ = false;
    estimate_.beginPass();
    for (uint64_t id = 1; id < 200; id++)
      if (const auto read = model_.read(id)) {
        estimate_.read(id, *read);
        if (model_.random(5) == 0) step();
        if (model_.random(8) == 0) takeLook();
      }
    takeLook();
    estimate_.endPass();
    check("PSS after a pass", estimate_.bounds().pss, model_.pssBytes());
    check("footprint after a pass", estimate_.bounds().footprint, model_.footprintBytes());
  }

  void check(const char* what, const Bounds& bounds, double truth) {
    if (truth >= bounds.low - kSlack && truth <= bounds.high + kSlack &&
        bounds.low <= bounds.value + kSlack && bounds.value <= bounds.high + kSlack)
      return;
    say(std::string(what) + ": " + std::to_string(truth / 4096) + " is not in " +
        std::to_string(bounds.low / 4096) + " to " + std::to_string(bounds.high / 4096));
  }
  void say(const std::string& text) {
    if (wrong_.empty()) wrong_ = text;
  }

  MemoryModel model_;
  GroupEstimate estimate_;
  Widths &pss_, &footprint_;
  const size_t budget_ = 2 + model_.random(4);  // looks per pass
  bool is_calm_ = false, has_moved_ = true, has_looked_ = false;
  std::string wrong_;
};

constexpr double kMb = 1e6;

MemberLook memberOf(uint64_t id, double anon, double fault_bytes) {
  MemberLook look;
  look.id = id;
  look.pid = static_cast<pid_t>(id);
  look.rss[kAnonPart] = look.peak_rss = anon;
  look.fault_bytes = fault_bytes;
  return look;
}

GroupLook lookOf(std::vector<MemberLook> members, double huge_bytes = 0) {
  GroupLook look;
  look.members = std::move(members);
  look.system.huge_bytes = huge_bytes;
  look.system.faulted_huge_bytes = 0;
  look.system.swapped_bytes = 0;
  return look;
}

// Two processes with the same 100 MB after a pass.
GroupEstimate sharers() {
  GroupEstimate estimate(modelRules());
  const auto look = [] { return lookOf({memberOf(1, 100 * kMb, 0), memberOf(2, 100 * kMb, 0)}); };
  estimate.look(look());
  estimate.beginPass();
  for (const uint64_t id : {1, 2}) {
    MemberRead read;
    read.rss = read.anon = 100 * kMb;
    read.pss[kAnonPart] = 50 * kMb;
    estimate.read(id, read);
  }
  estimate.look(look());
  estimate.endPass();
  return estimate;
}

void expectPss(const GroupEstimate& estimate, double low_mb, double high_mb) {
  EXPECT_DOUBLE_EQ(estimate.bounds().pss.low, low_mb * kMb);
  EXPECT_DOUBLE_EQ(estimate.bounds().pss.high, high_mb * kMb);
}

TEST(GroupEstimate, IsExactAtRest) { expectPss(sharers(), 100, 100); }

TEST(GroupEstimate, AddsWhatFaultsCanHaveCopied) {
  GroupEstimate estimate = sharers();
  estimate.look(lookOf({memberOf(1, 100 * kMb, 30 * kMb), memberOf(2, 100 * kMb, 0)}));
  expectPss(estimate, 100, 130);
  estimate.look(lookOf({memberOf(1, 100 * kMb, 900 * kMb), memberOf(2, 100 * kMb, 0)}));
  expectPss(estimate, 100, 200);
}

TEST(GroupEstimate, AddsWhatHugePagesCanHaveCopiedWithoutFaults) {
  GroupEstimate estimate = sharers();
  estimate.look(lookOf({memberOf(1, 100 * kMb, 0), memberOf(2, 100 * kMb, 0)}, 20 * kMb));
  EXPECT_GE(estimate.bounds().pss.high, 120 * kMb);
}

TEST(GroupEstimate, LeavesOutHugePagesThatNoFaultOfTheGroupAdded) {
  GroupEstimate estimate = sharers();
  const auto lookWith = [&](double fault_bytes) {
    GroupLook look =
        lookOf({memberOf(1, 100 * kMb, fault_bytes), memberOf(2, 100 * kMb, 0)}, 20 * kMb);
    look.system.faulted_huge_bytes = 20 * kMb;
    estimate.look(std::move(look));
    return estimate.bounds().pss.high;
  };
  EXPECT_DOUBLE_EQ(lookWith(0), 100 * kMb);
  EXPECT_GE(lookWith(kMb), 116 * kMb);
}

TEST(GroupEstimate, KeepsTheShareOfAProcessThatEnded) {
  GroupEstimate estimate = sharers();
  estimate.look(lookOf({memberOf(1, 100 * kMb, 0)}));
  expectPss(estimate, 50, 100);
}

TEST(GroupEstimate, CountsAForkByItsFaults) {
  GroupEstimate estimate = sharers();
  MemberLook child = memberOf(3, 100 * kMb, 5 * kMb);
  child.parent_pid = 1;
  estimate.look(lookOf({memberOf(1, 100 * kMb, 0), memberOf(2, 100 * kMb, 0), child}));
  expectPss(estimate, 100, 105);
}

TEST(GroupEstimate, CountsAllOfAProcessOfAnUnknownParent) {
  GroupEstimate estimate = sharers();
  const MemberLook stranger = memberOf(3, 40 * kMb, 5 * kMb);
  estimate.look(lookOf({memberOf(1, 100 * kMb, 0), memberOf(2, 100 * kMb, 0), stranger}));
  expectPss(estimate, 100, 140);
}

// MEMDRIFT_HISTORIES=100000 for a long run; MEMDRIFT_SEED for others.
uint64_t numberFrom(const char* variable, uint64_t otherwise) {
  const char* text = getenv(variable);
  return text == nullptr ? otherwise : strtoull(text, nullptr, 10);
}

TEST(GroupEstimateModel, HasTheTruthInEveryRangeAndNarrowOnes) {
  const uint64_t first = numberFrom("MEMDRIFT_SEED", 1);
  const uint64_t count = numberFrom("MEMDRIFT_HISTORIES", 2000);
  Widths pss, footprint;
  uint64_t wrong = 0;
  for (uint64_t seed = first; seed < first + count; seed++) {
    const std::string failure = History(seed, pss, footprint).run();
    if (failure.empty()) continue;
    if (wrong++ < 5) ADD_FAILURE() << "seed " << seed << ": " << failure;
  }
  printf("%lu wrong; PSS %.3f at rest, %.3f in motion; footprint %.3f, %.3f; open %.3f\n", wrong,
         Widths::median(pss.at_rest), Widths::median(pss.in_motion),
         Widths::median(footprint.at_rest), Widths::median(footprint.in_motion),
         static_cast<double>(footprint.far_and_open) / static_cast<double>(footprint.far));
  EXPECT_EQ(wrong, 0u);
  EXPECT_LE(Widths::median(pss.at_rest), 0.05);
  EXPECT_LE(Widths::median(pss.in_motion), 0.2);
  EXPECT_LE(Widths::median(footprint.at_rest), 0.05);
  EXPECT_LE(Widths::median(footprint.in_motion), 0.2);
  EXPECT_LE(static_cast<double>(footprint.far_and_open), 0.1 * static_cast<double>(footprint.far));
}

}  // namespace
}  // namespace memdrift
