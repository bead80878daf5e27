// SPDX-License-Identifier: MIT
#include "tracker/code_table.h"

#include <sched.h>

#include <algorithm>

namespace memdrift {

class CodeTable::Hold {
 public:
  explicit Hold(std::atomic<bool>& held) : held_(held) {
    for (int tries = 0; !tryTake(); tries++)
      if (tries > 100) sched_yield();
  }
  // Gives up after a few microseconds.
  Hold(std::atomic<bool>& held, bool& is_taken) : held_(held) {
    for (int tries = 0; tries < 1000 && !is_mine_; tries++) {
      if (!tryTake()) __builtin_ia32_pause();
    }
    is_taken = is_mine_;
  }
  ~Hold() {
    if (is_mine_) held_.store(false, std::memory_order_release);
  }
  Hold(const Hold&) = delete;
  Hold& operator=(const Hold&) = delete;

 private:
  bool tryTake() noexcept {
    is_mine_ =
        !held_.load(std::memory_order_relaxed) && !held_.exchange(true, std::memory_order_acquire);
    return is_mine_;
  }

  std::atomic<bool>& held_;
  bool is_mine_ = false;
};

bool CodeTable::add(const CodeRange& range, CodeKind kind, std::string_view name) {
  const Hold hold(is_held_);
  // V8 tells of code that all isolates share once for each of them.
  const auto known = pieces_.find(range.begin);
  if (known != pieces_.end() && known->second.bytes == range.bytes &&
      names_[known->second.code - 1].text == name)
    return false;
  names_.push_back({kind, range.isolate, std::string(name), functionNameOf(name).is_js});
  // find() has no heap to take from.
  if (used_.capacity() < names_.size()) used_.reserve(names_.capacity());
  return put(range.begin, {range.bytes, static_cast<uint32_t>(names_.size()), range.isolate});
}

// True if other code was there.
bool CodeTable::put(uintptr_t begin, const Piece& piece) {
  const uintptr_t end = begin + piece.bytes;
  bool overlaps = false;
  auto at = pieces_.lower_bound(begin);
  if (at != pieces_.begin()) {
    const auto before = std::prev(at);
    if (before->first + before->second.bytes > begin) {
      pieces_.erase(before);
      overlaps = true;
    }
  }
  while (at != pieces_.end() && at->first < end) {
    at = pieces_.erase(at);
    overlaps = true;
  }
  pieces_.emplace_hint(at, begin, piece);
  return overlaps;
}

bool CodeTable::move(uintptr_t from, uintptr_t to) {
  const Hold hold(is_held_);
  const auto found = pieces_.find(from);
  if (found == pieces_.end()) return true;
  const Piece piece = found->second;
  pieces_.erase(found);
  put(to, piece);
  return true;
}

void CodeTable::remove(uintptr_t begin) {
  const Hold hold(is_held_);
  pieces_.erase(begin);
}

void CodeTable::dropIsolate(uint32_t isolate) {
  const Hold hold(is_held_);
  std::erase_if(pieces_, [&](const auto& piece) { return piece.second.isolate == isolate; });
}

void CodeTable::clear() {
  const Hold hold(is_held_);
  pieces_.clear();
  names_ = {};
  used_ = {};
}

bool CodeTable::find(uintptr_t pc, CodePlace& place) noexcept {
  bool is_taken = false;
  const Hold hold(is_held_, is_taken);
  if (!is_taken) {
    busy_.fetch_add(1, std::memory_order_relaxed);
    return false;
  }
  // A call's return address can be the end of the code: what called is before it.
  auto beyond = pieces_.upper_bound(pc - 1);
  if (beyond == pieces_.begin()) return false;
  --beyond;
  const uintptr_t offset = pc - beyond->first;
  if (offset - 1 >= beyond->second.bytes) return false;
  Name& name = names_[beyond->second.code - 1];
  if (!name.is_used) used_.push_back(beyond->second.code);
  name.is_used = true;
  place = {beyond->second.code, static_cast<uint32_t>(offset), name.is_function};
  return true;
}

FunctionName CodeTable::nameOf(uint32_t code) {
  const Hold hold(is_held_);
  return code - 1 < names_.size() ? functionNameOf(names_[code - 1].text) : FunctionName{};
}

void CodeTable::takeUsed(const std::function<void(const CodeEvent&)>& callback) {
  const Hold hold(is_held_);
  for (const uint32_t code : used_) {
    const Name& name = names_[code - 1];
    callback({code, name.kind, name.isolate, name.text});
  }
  used_.clear();
}

}  // namespace memdrift
