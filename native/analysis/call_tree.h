// SPDX-License-Identifier: MIT
// The stacks of a table, out of those of all threads: what differs by address only is one.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "analysis/allocation_rows.h"
#include "analysis/live_memory.h"
#include "analysis/program_code.h"

namespace memdrift {

class CallTree {
 public:
  // Both must outlive it.
  CallTree(const LiveMemory& live, const ProgramCode& code) : live_(live), code_(code) {}

  // Returns the stack of a node of the shared stacks. The first call for a node names its frames.
  uint32_t nodeOf(uint32_t node);
  uint32_t child(uint32_t parent, uint32_t frame);
  // Of a function; the same for the same one.
  uint32_t frameNumber(StackFrame frame);

  const std::vector<StackFrame>& frames() const { return frames_; }
  const StackTree& stacks() const { return tree_; }
  // The end of this one.
  void moveTo(AllocationTable& table);

 private:
  struct KeyHash {
    size_t operator()(const ProgramCode::Key& key) const noexcept {
      return (key.place ^ static_cast<uint64_t>(key.code) << 40) * 0x9e3779b97f4a7c15U >> 7;
    }
  };

  const std::vector<uint32_t>& framesOf(const StackNode& node);

  const LiveMemory& live_;
  const ProgramCode& code_;
  StackTree tree_;
  std::vector<StackFrame> frames_;
  std::map<StackFrame, uint32_t> frame_numbers_;
  std::unordered_map<ProgramCode::Key, std::vector<uint32_t>, KeyHash> places_;
  std::unordered_map<uint64_t, uint32_t> children_;  // by parent and frame
  std::vector<uint32_t> known_;                      // by shared node; 0: not named yet
  std::vector<uint32_t> path_;
};

// Native functions that have `part` in their name, among the innermost ones of stacks; what was
// compiled into another one does not count as one. Looks at each function once.
class FramesNamed {
 public:
  // `tree` must outlive it, `part` too.
  FramesNamed(const CallTree& tree, std::string_view part) : tree_(tree), part_(part) {}

  bool isAmongInnermost(size_t count, uint32_t node);

 private:
  bool isNamed(uint32_t frame);

  const CallTree& tree_;
  std::string_view part_;
  std::vector<int8_t> known_;  // by frame: 0 not yet, 1 yes, -1 no
};

}  // namespace memdrift
