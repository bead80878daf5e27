// SPDX-License-Identifier: MIT
// Each different string once, by number. Thousands of mappings share a handful of names, flags and
// permissions, so a column of numbers and one list of strings is what crosses to JavaScript.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace memdrift {

// Number 0 is always the empty string.
class StringTable {
 public:
  // O(1); copies `text` when it is new.
  uint32_t idOf(std::string_view text) {
    if (text.empty()) return 0;
    if (2 * (strings_.size() + 1) > slots_.size()) grow();
    const size_t slot = find(text);
    if (slots_[slot] == 0) {
      strings_.emplace_back(text);
      slots_[slot] = static_cast<uint32_t>(strings_.size());
    }
    return slots_[slot] - 1;
  }

  const std::vector<std::string>& strings() const { return strings_; }

 private:
  static uint64_t hashOf(std::string_view text) {
    uint64_t hash = text.size();
    const char* at = text.data();
    size_t left = text.size();
    while (left != 0) {
      uint64_t word = 0;
      const size_t step = left < sizeof word ? left : sizeof word;
      memcpy(&word, at, step);
      hash = (hash ^ word) * 0x9e3779b97f4a7c15;
      hash ^= hash >> 32;
      at += step;
      left -= step;
    }
    return hash;
  }

  // The slot that holds `text`, or the free one where it belongs.
  size_t find(std::string_view text) const {
    const size_t mask = slots_.size() - 1;
    size_t slot = hashOf(text) & mask;
    while (slots_[slot] != 0 && strings_[slots_[slot] - 1] != text) slot = (slot + 1) & mask;
    return slot;
  }

  void grow() {
    slots_.assign(slots_.empty() ? 64 : 2 * slots_.size(), 0);
    for (uint32_t id = 0; id < strings_.size(); id++) slots_[find(strings_[id])] = id + 1;
  }

  std::vector<std::string> strings_ = {""};
  std::vector<uint32_t> slots_;  // id + 1; 0 is free; a power of two of them
};

}  // namespace memdrift
