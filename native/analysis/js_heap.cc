// SPDX-License-Identifier: MIT
#include "analysis/js_heap.h"

#include <algorithm>
#include <map>
#include <set>

#include "capture/js_heap_stream.h"

namespace memdrift {

namespace {

// V8 takes the memory of its heap, and of nothing else, by this class.
constexpr std::string_view kV8Allocator = "v8::internal::MemoryAllocator::";
constexpr size_t kAllocatorFrames = 6;

// The tree's functions, and those of the heap beside them.
class Frames {
 public:
  explicit Frames(CallTree& tree) : tree_(tree) {
    for (const StackFrame& frame : tree.frames())
      if (!frame.is_native) files_.insert(frame.file);
  }
  uint32_t number(StackFrame frame) {
    // A module's name is its URL in stacks, and a script's is its path.
    if (files_.count("file://" + frame.file) != 0) frame.file = "file://" + frame.file;
    return tree_.frameNumber(std::move(frame));
  }

 private:
  CallTree& tree_;
  std::set<std::string> files_;
};

// Returns the frame of a part of the heap that is under no function; reports know these names.
StackFrame partFrame(std::string name) {
  StackFrame frame;
  frame.function = std::move(name);
  frame.is_native = true;
  return frame;
}

StackFrame frameOf(const JsHeapProfile& profile, const JsHeapNode& node) {
  const std::string_view name = profile.texts[node.function];
  // Where no function was running, V8 reports its own activity, as "(GC)" or "(V8 API)".
  if (node.parent == 0 && profile.texts[node.file].empty() && name.starts_with('('))
    return partFrame("(no JavaScript on the stack: " + std::string(name.substr(1)));
  StackFrame frame;
  frame.function = name;
  frame.file = profile.texts[node.file];
  frame.function_line = node.line;
  frame.column = node.column;
  return frame;
}

// What was taken out of the table.
uint64_t takeV8Mappings(AllocationTable& table, const CallTree& tree) {
  FramesNamed allocators(tree, kV8Allocator);
  uint64_t bytes = 0;
  std::erase_if(table.rows, [&](const TableRow& row) {
    if (row.kind != RowKind::k_mmap || !allocators.isAmongInnermost(kAllocatorFrames, row.node))
      return false;
    bytes += row.bytes;
    return true;
  });
  return bytes;
}

// Of each function of the profile its stack; a caller comes before those that it calls.
std::vector<uint32_t> stacksOf(const JsHeapProfile& profile, CallTree& tree) {
  Frames frames(tree);
  std::vector<uint32_t> stacks;
  stacks.reserve(profile.nodes.size());
  for (const JsHeapNode& node : profile.nodes) {
    const uint32_t caller = node.parent == 0 ? 0 : stacks[node.parent - 1];
    stacks.push_back(tree.child(caller, frames.number(frameOf(profile, node))));
  }
  return stacks;
}

}  // namespace

void JsHeapMoments::add(std::string_view payload, int64_t peak_bytes) {
  last_ = payload;
  if (peak_bytes <= peak_bytes_) return;
  peak_bytes_ = peak_bytes;
  after_peak_ = payload;
}

const std::string& JsHeapMoments::at(Moment moment, int64_t peak_bytes) const {
  return moment == Moment::end || peak_bytes > peak_bytes_ ? last_ : after_peak_;
}

namespace {

// Bytes of the heap beyond the sampled objects.
struct HeapParts {
  uint64_t older_bytes = 0;   // objects
  uint64_t free_bytes = 0;    // room
  uint64_t others_bytes = 0;  // of other isolates
  uint64_t untold_bytes = 0;  // any of these: the capture does not divide them
};

HeapParts partsOf(const JsHeapTotals& totals, uint64_t sampled_bytes, uint64_t mapped_bytes) {
  HeapParts parts;
  const auto beyond = [mapped_bytes](uint64_t known) {
    return mapped_bytes - std::min(mapped_bytes, known);
  };
  if (totals.total_bytes == kUnknown || totals.used_bytes == kUnknown) {
    parts.untold_bytes = beyond(sampled_bytes);
    return parts;
  }
  parts.older_bytes = totals.used_bytes - std::min(totals.used_bytes, sampled_bytes);
  parts.free_bytes = totals.total_bytes - std::min(totals.total_bytes, totals.used_bytes);
  const bool is_told = totals.others_bytes != kUnknown;
  parts.others_bytes = is_told ? totals.others_bytes : beyond(totals.total_bytes);
  return parts;
}

// Samples are estimates: their sum is limited to V8's count of objects.
void fitToUsed(std::map<uint32_t, uint64_t>& bytes_of_stacks, uint64_t& sampled_bytes,
               uint64_t used_bytes) {
  if (sampled_bytes <= used_bytes) return;
  const double factor = static_cast<double>(used_bytes) / static_cast<double>(sampled_bytes);
  sampled_bytes = 0;
  for (auto& [stack, bytes] : bytes_of_stacks)
    sampled_bytes += bytes = static_cast<uint64_t>(static_cast<double>(bytes) * factor);
}

}  // namespace

void addJsHeap(AllocationTable& table, CallTree& tree, const JsHeapSource& source) {
  JsHeapProfile profile;
  if (source.payload.empty() || takeJsHeap(source.payload, profile)) return;
  const uint64_t mapped_bytes = takeV8Mappings(table, tree);
  const std::vector<uint32_t> stacks = stacksOf(profile, tree);
  std::map<uint32_t, uint64_t> bytes_of_stacks;
  uint64_t sampled_bytes = 0;
  for (size_t i = 0; i < stacks.size(); i++) {
    sampled_bytes += profile.nodes[i].bytes;
    if (profile.nodes[i].bytes != 0) bytes_of_stacks[stacks[i]] += profile.nodes[i].bytes;
  }
  fitToUsed(bytes_of_stacks, sampled_bytes, profile.totals.used_bytes);
  uint64_t heap_bytes = 0;
  const auto add = [&](uint32_t stack, uint64_t bytes) {
    heap_bytes += bytes;
    table.rows.push_back({bytes, 0, RowKind::k_jsheap, source.thread, stack});
  };
  for (const auto& [stack, bytes] : bytes_of_stacks) add(stack, bytes);
  const auto addPart = [&](const char* name, uint64_t bytes) {
    if (bytes != 0) add(tree.child(0, tree.frameNumber(partFrame(name))), bytes);
  };
  const HeapParts parts = partsOf(profile.totals, sampled_bytes, mapped_bytes);
  addPart("(V8's heap: free room)", parts.free_bytes);
  addPart("(V8's heap: other isolates)", parts.others_bytes);
  addPart("(V8's heap: objects older than the capture, or between samples)", parts.older_bytes);
  addPart("(V8's heap: free, of workers, or older than the capture)", parts.untold_bytes);
  table.total_bytes += heap_bytes - mapped_bytes;
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [](const TableRow& a, const TableRow& b) { return a.bytes > b.bytes; });
}

}  // namespace memdrift
