// SPDX-License-Identifier: MIT
// The mappings of a process as the hooks saw them made, changed and cut.
#pragma once

#include <cstdint>
#include <functional>
#include <map>

namespace memdrift {

// Which of a mapping's pages may be used and count for the process alone.
struct RangeState {
  uint32_t site = 0;            // the site that made it usable last
  uint32_t kind = 0;            // AllocationKind
  bool is_committed = false;    // usable, and not given back since
  bool is_usable = false;       // by its protection
  uint8_t looks = 0;            // since it last changed, up to kEnoughLooks
  uint64_t resident_bytes = 0;  // bytes that count

  bool operator==(const RangeState&) const = default;
};

// Disjoint ranges of addresses. Whatever is put over others replaces their part of them.
class RangeMap {
 public:
  using Change = std::function<void(RangeState& state, uint64_t bytes)>;

  struct Part {
    RangeState& state;
    uint64_t bytes;
  };
  using Cut = std::function<void(Part first, Part second)>;

  // `on_cut` divides the state of each range that becomes two; both start with the whole state.
  explicit RangeMap(Cut on_cut) : on_cut_(std::move(on_cut)) {}

  // Returns the state of the range at this address, or null.
  const RangeState* find(uint64_t address) const {
    auto next = ranges_.upper_bound(address);
    if (next == ranges_.begin()) return nullptr;
    const Range& range = std::prev(next)->second;
    return address < range.end ? &range.state : nullptr;
  }

  // A range where there is none now.
  void add(uint64_t begin, uint64_t end, const RangeState& state) {
    if (begin < end) ranges_[begin] = {end, state};
  }
  // Calls back for each piece in [begin, end) that goes.
  void remove(uint64_t begin, uint64_t end, const Change& removed) {
    if (begin >= end) return;
    cut(begin);
    cut(end);
    auto at = ranges_.lower_bound(begin);
    while (at != ranges_.end() && at->first < end) {
      removed(at->second.state, at->second.end - at->first);
      at = ranges_.erase(at);
    }
  }
  // Calls back for each piece in [begin, end), which may change its state.
  void change(uint64_t begin, uint64_t end, const Change& callback) {
    if (begin >= end) return;
    cut(begin);
    cut(end);
    for (auto at = ranges_.lower_bound(begin); at != ranges_.end() && at->first < end; ++at)
      callback(at->second.state, at->second.end - at->first);
  }

  // The same for all ranges.
  template <typename Callback>
  void changeAll(Callback&& callback) {
    for (auto& [begin, range] : ranges_) callback(range.state, range.end - begin);
  }
  template <typename Callback>
  void forEach(Callback&& callback) const {
    for (const auto& [begin, range] : ranges_) callback(begin, range.end, range.state);
  }
  size_t count() const noexcept { return ranges_.size(); }

 private:
  struct Range {
    uint64_t end;
    RangeState state;
  };

  // Makes `at` a border, if a range goes over it.
  void cut(uint64_t at) {
    auto next = ranges_.lower_bound(at);
    if (next == ranges_.begin()) return;
    auto before = std::prev(next);
    if (before->first == at || before->second.end <= at) return;
    Range& second = ranges_[at] = before->second;
    before->second.end = at;
    on_cut_({before->second.state, at - before->first}, {second.state, second.end - at});
  }

  Cut on_cut_;
  std::map<uint64_t, Range> ranges_;
};

}  // namespace memdrift
