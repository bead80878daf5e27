// SPDX-License-Identifier: MIT
#include "analysis/shared_stacks.h"

#include <algorithm>

namespace memdrift {

namespace {

constexpr size_t kFirstPlaces = 1 << 10;
constexpr uint64_t kSpread = 0x9e3779b97f4a7c15U;

}  // namespace

size_t SharedStacks::home(const StackNode& node) const noexcept {
  const uint64_t callers = (uint64_t{node.parent} << 32 | node.code) * kSpread;
  return ((callers ^ callers >> 29 ^ node.place) * kSpread >> 20) & (places_.size() - 1);
}

uint32_t SharedStacks::add(const StackNode& node) {
  if (nodes_.size() * 2 >= places_.size()) grow();
  size_t at = home(node);
  for (; places_[at] != 0; at = (at + 1) & (places_.size() - 1))
    if (nodes_[places_[at]] == node) return places_[at];
  places_[at] = static_cast<uint32_t>(nodes_.size());
  nodes_.push_back(node);
  return places_[at];
}

void SharedStacks::grow() {
  places_.assign(std::max(kFirstPlaces, places_.size() * 2), 0);
  for (uint32_t number = 1; number < nodes_.size(); number++) {
    size_t at = home(nodes_[number]);
    while (places_[at] != 0) at = (at + 1) & (places_.size() - 1);
    places_[at] = number;
  }
}

}  // namespace memdrift
