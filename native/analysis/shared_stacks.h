// SPDX-License-Identifier: MIT
// The stacks of all threads in one tree: threads that run the same code share its nodes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace memdrift {

// A frame of a tree of stacks.
struct StackNode {
  uint64_t place;   // in code that V8 made an offset, else an address
  uint32_t code;    // 0: native
  uint32_t parent;  // 0: none
  bool operator==(const StackNode&) const = default;
};

class SharedStacks {
 public:
  // Returns the number of the node, the same for equal nodes. `parent` is 0 or a number that add()
  // returned before.
  uint32_t add(const StackNode& node);
  // Returns the empty stack for a number that was never returned.
  const StackNode& operator[](uint32_t node) const {
    return nodes_[node < nodes_.size() ? node : 0];
  }
  size_t count() const { return nodes_.size(); }  // with the empty stack

 private:
  size_t home(const StackNode& node) const noexcept;
  void grow();

  std::vector<StackNode> nodes_{StackNode{}};  // node 0 is the empty stack
  std::vector<uint32_t> places_;               // open addressing by node; 0: empty
};

}  // namespace memdrift
