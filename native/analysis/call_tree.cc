// SPDX-License-Identifier: MIT
#include "analysis/call_tree.h"

namespace memdrift {

uint32_t CallTree::nodeOf(uint32_t node) {
  const SharedStacks& stacks = live_.stacks();
  known_.resize(stacks.count());
  path_.clear();
  uint32_t at = node;
  while (at != 0 && known_[at] == 0) {
    path_.push_back(at);
    at = stacks[at].parent;
  }
  uint32_t place = at == 0 ? 0 : known_[at];
  for (size_t i = path_.size(); i-- > 0;) {
    // Innermost first where functions were compiled into one another.
    const std::vector<uint32_t>& frames = framesOf(stacks[path_[i]]);
    for (size_t frame = frames.size(); frame-- > 0;) place = child(place, frames[frame]);
    known_[path_[i]] = place;
  }
  return place;
}

uint32_t CallTree::child(uint32_t parent, uint32_t frame) {
  const uint64_t key = static_cast<uint64_t>(parent) << 32 | frame;
  const auto next = static_cast<uint32_t>(tree_.parents.size());
  const auto [found, is_new] = children_.try_emplace(key, next);
  if (is_new) {
    tree_.parents.push_back(parent);
    tree_.frames.push_back(frame);
  }
  return found->second;
}

const std::vector<uint32_t>& CallTree::framesOf(const StackNode& node) {
  const auto [found, is_new] = places_.try_emplace(code_.keyOf(node));
  if (is_new)
    for (StackFrame& frame : code_.framesAt(node))
      found->second.push_back(frameNumber(std::move(frame)));
  return found->second;
}

uint32_t CallTree::frameNumber(StackFrame frame) {
  const auto [found, is_new] =
      frame_numbers_.try_emplace(frame, static_cast<uint32_t>(frames_.size()));
  if (is_new) frames_.push_back(std::move(frame));
  return found->second;
}

void CallTree::moveTo(AllocationTable& table) {
  table.frames = std::move(frames_);
  table.stacks = std::move(tree_);
}

bool FramesNamed::isAmongInnermost(size_t count, uint32_t node) {
  const StackTree& stacks = tree_.stacks();
  for (size_t seen = 0; seen < count && node != 0; node = stacks.parents[node]) {
    const uint32_t frame = stacks.frames[node];
    if (isNamed(frame)) return true;
    if (!tree_.frames()[frame].is_inlined) seen++;
  }
  return false;
}

bool FramesNamed::isNamed(uint32_t frame) {
  if (frame >= known_.size()) known_.resize(tree_.frames().size());
  if (known_[frame] == 0) {
    const StackFrame& one = tree_.frames()[frame];
    const bool is_named = one.is_native && one.function.find(part_) != std::string::npos;
    known_[frame] = is_named ? 1 : -1;
  }
  return known_[frame] == 1;
}

}  // namespace memdrift
