// SPDX-License-Identifier: MIT
// How many allocations there were by which function, and of what size.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "capture/hook_ids.h"

namespace memdrift {

// Two additions per allocation, to one place: below 2 ns. Sizes are told apart by how many bits
// they have, so that any histogram whose bounds are powers of two is exact.
class AllocationSizes {
 public:
  // Sizes from 2^(n-1) on, below 2^n; the first is of nothing.
  static constexpr size_t kClasses = 65;

  struct Sum {
    uint64_t count = 0;
    uint64_t bytes = 0;

    void add(const Sum& other) {
      count += other.count;
      bytes += other.bytes;
    }
  };

  // `weight`: bytes that it stands for, where one of many is recorded.
  void add(HookId hook, uint64_t bytes, uint64_t weight) {
    sums_[static_cast<size_t>(hook)][static_cast<size_t>(std::bit_width(bytes))].add({1, weight});
  }

  Sum ofFunction(HookId hook) const {
    Sum sum;
    for (const Sum& one : sums_[static_cast<size_t>(hook)]) sum.add(one);
    return sum;
  }
  // Of blocks only: a mapping is no allocation of one size, its pages come and go.
  Sum ofClass(size_t size_class) const {
    Sum sum;
    for (size_t hook = 0; hook < kHeapHookCount; hook++) sum.add(sums_[hook][size_class]);
    return sum;
  }

 private:
  std::array<std::array<Sum, kClasses>, kHookCount> sums_ = {};
};

}  // namespace memdrift
