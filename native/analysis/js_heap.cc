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

bool isOfV8(const AllocationTable& table, const TableRow& row) {
  if (row.kind != "mmap") return false;
  const auto inner =
      row.stack.begin() + static_cast<long>(std::min(row.stack.size(), kAllocatorFrames));
  return std::any_of(row.stack.begin(), inner, [&](uint32_t number) {
    const StackFrame& frame = table.frames[number];
    return frame.is_native && frame.function.find(kV8Allocator) != std::string::npos;
  });
}

// The table's frames, and those of the heap's functions beside them.
class Frames {
 public:
  explicit Frames(std::vector<StackFrame>& all) : all_(all) {
    for (uint32_t i = 0; i < all.size(); i++) {
      numbers_.emplace(all[i], i);
      if (!all[i].is_native) files_.insert(all[i].file);
    }
  }
  uint32_t number(StackFrame frame) {
    // A module's name is its URL in stacks, and a script's is its path.
    if (files_.count("file://" + frame.file) != 0) frame.file = "file://" + frame.file;
    const auto [found, is_new] = numbers_.try_emplace(frame, static_cast<uint32_t>(all_.size()));
    if (is_new) all_.push_back(std::move(frame));
    return found->second;
  }

 private:
  std::vector<StackFrame>& all_;
  std::map<StackFrame, uint32_t> numbers_;
  std::set<std::string> files_;
};

StackFrame frameOf(const JsHeapProfile& profile, const JsHeapNode& node) {
  StackFrame frame;
  frame.function = profile.texts[node.function];
  frame.file = profile.texts[node.file];
  frame.function_line = node.line;
  frame.column = node.column;
  return frame;
}

// What was taken out of the table.
uint64_t takeV8Mappings(AllocationTable& table) {
  uint64_t bytes = 0;
  std::erase_if(table.rows, [&](const TableRow& row) {
    const bool is_of_v8 = isOfV8(table, row);
    if (is_of_v8) bytes += row.bytes;
    return is_of_v8;
  });
  return bytes;
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

void addJsHeap(AllocationTable& table, const std::string& payload, const std::string& thread) {
  JsHeapProfile profile;
  if (payload.empty() || takeJsHeap(payload, profile)) return;
  const uint64_t mapped_bytes = takeV8Mappings(table);
  Frames frames(table.frames);
  std::map<std::vector<uint32_t>, TableRow> rows;
  uint64_t sampled_bytes = 0;
  for (const JsHeapNode& node : profile.nodes) {
    if (node.bytes == 0) continue;
    sampled_bytes += node.bytes;
    std::vector<uint32_t> stack = {frames.number(frameOf(profile, node))};
    for (uint32_t at = node.parent; at != 0; at = profile.nodes[at - 1].parent)
      stack.push_back(frames.number(frameOf(profile, profile.nodes[at - 1])));
    TableRow& row =
        rows.try_emplace(stack, TableRow{0, 0, kJsHeapKind, thread, stack}).first->second;
    row.bytes += node.bytes;
  }
  for (auto& [stack, row] : rows) table.rows.push_back(std::move(row));
  uint64_t rest_bytes = 0;
  if (mapped_bytes > sampled_bytes) {
    rest_bytes = mapped_bytes - sampled_bytes;
    StackFrame rest;
    rest.function = "(V8's heap: free, of workers, or older than the capture)";
    rest.is_native = true;
    table.rows.push_back({rest_bytes, 0, kJsHeapKind, thread, {frames.number(rest)}});
  }
  table.total_bytes += sampled_bytes + rest_bytes - mapped_bytes;
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [](const TableRow& a, const TableRow& b) { return a.bytes > b.bytes; });
}

}  // namespace memdrift
