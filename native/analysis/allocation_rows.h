// SPDX-License-Identifier: MIT
// Which stacks held how much, at one moment of a capture.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <vector>

namespace memdrift {

struct StackFrame {
  std::string function;  // empty: not known
  std::string file;      // of JavaScript; of native code the object
  uint32_t function_line = 0;
  uint32_t column = 0;
  uint32_t line = 0;        // that was executing; 0: not known
  bool is_inlined = false;  // compiled into the function that called it
  bool is_native = false;

  auto operator<=>(const StackFrame&) const = default;
};

// Memory of one stack, thread and kind.
struct TableRow {
  uint64_t bytes;
  uint64_t count;    // 0: not known
  std::string kind;  // malloc, buffer, mmap, file, shm, stack, jsheap
  std::string thread;
  std::vector<uint32_t> stack;  // numbers of frames, innermost first
  std::vector<uint32_t> sites = {};
};

// Of a capture: when it held the most, its end, or all blocks that were freed soon.
enum class Moment { peak, end, temporary };

// By how much a row changed since the moment before.
struct RowChange {
  uint32_t moment;
  uint32_t row;
  int64_t bytes;
  int64_t count;
};

struct AllocationTable {
  // What the rows of the heap's kinds (malloc, buffer, mmap, jsheap) add up to.
  uint64_t total_bytes = 0;
  std::vector<StackFrame> frames;
  std::vector<TableRow> rows;      // largest first
  std::vector<RowChange> changes;  // of the timeline, where it was asked for
};

}  // namespace memdrift
