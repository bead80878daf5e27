// SPDX-License-Identifier: MIT
#include "analysis/js_heap.h"

#include <gtest/gtest.h>

#include "capture/js_heap_stream.h"

namespace memdrift {

namespace {

JsHeapNode node(uint32_t parent, uint32_t function, uint64_t bytes) {
  return {parent, function, 2, 7, 3, bytes};
}

// `inner`, called by `outer`, both with objects.
std::string payloadOf(uint64_t outer_bytes, uint64_t inner_bytes) {
  JsHeapProfile profile;
  profile.time_ns = 5;
  profile.texts = {"outer", "inner", "/a.js"};
  profile.nodes = {node(0, 0, outer_bytes), node(1, 1, inner_bytes)};
  std::string payload;
  putJsHeap(profile, payload);
  return payload;
}

StackFrame native(const char* function) {
  StackFrame frame;
  frame.function = function;
  frame.is_native = true;
  return frame;
}

// 100 kB that V8 mapped, 30 kB that an addon mapped, 20 kB of malloc.
struct TableWithV8 {
  TableWithV8() {
    const auto under = [&](const char* outer, const char* inner) {
      return tree.child(tree.child(0, tree.frameNumber(native(outer))),
                        tree.frameNumber(native(inner)));
    };
    const char* v8 = "v8::internal::MemoryAllocator::AllocatePage";
    table.rows = {{100'000, 1, RowKind::k_mmap, 0, under(v8, "mmap")},
                  {30'000, 1, RowKind::k_mmap, 0, under("addon", "mmap")},
                  {20'000, 2, RowKind::k_malloc, 0, under(v8, "malloc")}};
    table.total_bytes = 150'000;
  }
  uint64_t bytesOf(RowKind kind) const {
    uint64_t bytes = 0;
    for (const TableRow& row : table.rows) bytes += row.kind == kind ? row.bytes : 0;
    return bytes;
  }
  // Innermost first.
  std::vector<std::string> functionsOf(const TableRow& row) const {
    std::vector<std::string> functions;
    for (uint32_t node = row.node; node != 0; node = tree.stacks().parents[node])
      functions.push_back(tree.frames()[tree.stacks().frames[node]].function);
    return functions;
  }

  LiveMemory live;
  ProgramCode code;
  CallTree tree{live, code};
  AllocationTable table;
};

TEST(JsHeapStream, WhatWasPutIsTaken) {
  const std::string payload = payloadOf(1, 1ULL << 40);
  JsHeapProfile taken;
  ASSERT_EQ(takeJsHeap(payload, taken), nullptr);
  EXPECT_EQ(taken.time_ns, 5U);
  EXPECT_EQ(taken.texts, (std::vector<std::string_view>{"outer", "inner", "/a.js"}));
  ASSERT_EQ(taken.nodes.size(), 2U);
  EXPECT_EQ(taken.nodes[1].parent, 1U);
  EXPECT_EQ(taken.nodes[1].line, 7U);
  EXPECT_EQ(taken.nodes[1].column, 3U);
  EXPECT_EQ(taken.nodes[1].bytes, 1ULL << 40);
}

TEST(JsHeapStream, CutOffAnywhereIsSaid) {
  const std::string payload = payloadOf(1000, 2000);
  for (size_t bytes = 0; bytes < payload.size(); bytes++) {
    JsHeapProfile taken;
    EXPECT_NE(takeJsHeap(std::string_view(payload).substr(0, bytes), taken), nullptr) << bytes;
  }
}

TEST(JsHeapStream, ANodeMayOnlyNameWhatIsBeforeIt) {
  for (const JsHeapNode& wrong : {node(2, 0, 1), node(1, 9, 1)}) {
    JsHeapProfile profile;
    profile.texts = {"outer", "inner", "/a.js"};
    profile.nodes = {node(0, 0, 1), wrong};
    std::string payload;
    putJsHeap(profile, payload);
    JsHeapProfile taken;
    EXPECT_NE(takeJsHeap(payload, taken), nullptr);
  }
}

TEST(JsHeap, TakesThePlaceOfV8sMappingsAndOfNothingElse) {
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {payloadOf(10'000, 50'000), 0});
  EXPECT_EQ(of.bytesOf(RowKind::k_jsheap), 100'000U);
  EXPECT_EQ(of.bytesOf(RowKind::k_mmap), 30'000U);
  EXPECT_EQ(of.bytesOf(RowKind::k_malloc), 20'000U);
  EXPECT_EQ(of.table.total_bytes, 150'000U);
  EXPECT_EQ(of.table.rows[0].bytes, 50'000U);
  EXPECT_EQ(of.functionsOf(of.table.rows[0]), (std::vector<std::string>{"inner", "outer"}));
}

TEST(JsHeap, ObjectsOlderThanTheCaptureMakeTheTotalLarger) {
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {payloadOf(0, 160'000), 0});
  EXPECT_EQ(of.bytesOf(RowKind::k_jsheap), 160'000U);
  EXPECT_EQ(of.table.total_bytes, 210'000U);
}

TEST(JsHeap, WithoutItTheTableStays) {
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {"", 0});
  EXPECT_EQ(of.table.rows.size(), 3U);
  EXPECT_EQ(of.bytesOf(RowKind::k_mmap), 130'000U);
}

TEST(JsHeapMoments, ThePeakIsToldByTheFirstLookBehindIt) {
  JsHeapMoments moments;
  moments.add("a", 100);
  moments.add("b", 100);
  moments.add("c", 200);
  moments.add("d", 200);
  EXPECT_EQ(moments.at(Moment::peak, 200), "c");
  EXPECT_EQ(moments.at(Moment::peak, 300), "d");
  EXPECT_EQ(moments.at(Moment::end, 200), "d");
}

}  // namespace

}  // namespace memdrift
