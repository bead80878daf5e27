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
  std::string file;      // of native code the object, or the source where `line` is known
  uint32_t function_line = 0;
  uint32_t column = 0;
  uint32_t line = 0;        // that was executing; 0: not known
  bool is_inlined = false;  // compiled into the function that called it
  bool is_native = false;
  std::string object = {};  // of native code the file that it was loaded from

  auto operator<=>(const StackFrame&) const = default;
};

// Stacks with their common callers once. Node 0 is the empty stack; a node comes after its caller.
struct StackTree {
  std::vector<uint32_t> parents{0};
  std::vector<uint32_t> frames{0};  // number of the function; of node 0 nothing
};

// What memory is of, in reports. jsheap: objects that V8 says are there.
#define MEMDRIFT_ROW_KINDS(X) X(malloc) X(buffer) X(mmap) X(file) X(shm) X(stack) X(jsheap)

enum class RowKind : uint8_t {
#define MEMDRIFT_KIND(name) k_##name,
  MEMDRIFT_ROW_KINDS(MEMDRIFT_KIND)
#undef MEMDRIFT_KIND
};

// Memory of one stack, thread and kind.
struct TableRow {
  uint64_t bytes = 0;
  uint64_t count = 0;  // of allocations; 0: not known
  RowKind kind = RowKind::k_malloc;
  uint32_t thread = 0;      // in the table's list
  uint32_t node = 0;        // of the table's stacks
  uint64_t ever_bytes = 0;  // allocated at any time
  uint64_t ever_count = 0;
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
  uint64_t left_out_bytes = 0;  // of these kinds, in no row
  std::vector<StackFrame> frames;
  StackTree stacks;
  std::vector<std::string> threads;  // id and name
  std::vector<TableRow> rows;        // largest first
  std::vector<RowChange> changes;    // of the timeline, where it was asked for
};

}  // namespace memdrift
