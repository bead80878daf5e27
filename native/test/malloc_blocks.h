// SPDX-License-Identifier: MIT
// Blocks of malloc's in known sizes, and what is expected of them.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>

#include "drift/frozen_memory.h"

namespace memdrift {

// By arithmetic, what a state has; what the program needs beside it is within the test's tolerance.
struct Expected {
  uint64_t in_use_bytes = 0;
  uint64_t freed_bytes = 0;
  uint64_t buffer_bytes = 0;
};

inline uint64_t chunkBytes(uint64_t bytes) {
  return bytes + 8 < 32 ? 32 : (bytes + 8 + 15) & ~uint64_t{15};
}

inline char* filled(size_t bytes) {
  auto* const block = static_cast<char*>(malloc(bytes));
  memset(block, 1, bytes);
  return block;
}

// Different each time, and the same in each run.
inline size_t someBytes(size_t least, size_t most) {
  static thread_local uint32_t state = 12345;
  state = state * 1103515245 + 12345;
  return least + (state >> 8) % (most - least);
}

// The array of the blocks is outside of the heap, so that it is in no figure.
class Blocks {
 public:
  explicit Blocks(size_t count) : count_(count), all_(takePages<char*>(count)) {}
  char*& operator[](size_t i) { return all_[i]; }
  size_t size() const { return count_; }

 private:
  size_t count_;
  char** all_;
};

}  // namespace memdrift
