// SPDX-License-Identifier: MIT
// The JavaScript heap of a capture that has it: objects under the functions that made them, and
// what V8 holds beyond those, instead of the mappings that V8 has them in.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "analysis/allocation_rows.h"
#include "analysis/call_tree.h"

namespace memdrift {

// What V8 said of its heap, at the peak and at the end. An estimate: V8 samples, and was asked
// about once a second.
class JsHeapMoments {
 public:
  // In the order of the capture; `peak_bytes` is the largest total of the heap until then.
  void add(std::string_view payload, int64_t peak_bytes);
  // The payload as of that moment; empty where V8 was not asked.
  const std::string& at(Moment moment, int64_t peak_bytes) const;

 private:
  std::string last_;
  std::string after_peak_;  // the first behind the peak of all before
  int64_t peak_bytes_ = -1;
};

struct JsHeapSource {
  const std::string& payload;  // empty: V8 was not asked
  uint32_t thread;             // of the table, that the objects are of
};

// Puts rows of kind jsheap into `table`, whose stacks are those of `tree`, and takes V8's own
// mappings out of it. V8's counts beyond the sampled objects have rows of their own: free room,
// other isolates, and objects that are older than the capture or between samples. All rows add up
// to V8's total.
void addJsHeap(AllocationTable& table, CallTree& tree, const JsHeapSource& source);

}  // namespace memdrift
