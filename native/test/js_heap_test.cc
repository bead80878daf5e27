// SPDX-License-Identifier: MIT
#include "analysis/js_heap.h"

#include <gtest/gtest.h>

#include <map>

#include "capture/js_heap_stream.h"

namespace memdrift {

namespace {

JsHeapNode node(uint32_t parent, uint32_t function, uint64_t bytes) {
  return {parent, function, 2, 7, 3, bytes};
}

// `inner`, called by `outer`, both with objects.
std::string payloadOf(uint64_t outer_bytes, uint64_t inner_bytes, const JsHeapTotals& totals = {}) {
  JsHeapProfile profile;
  profile.totals = totals;
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
  // Returns the heap's bytes by innermost function.
  std::map<std::string, uint64_t> heapParts() const {
    std::map<std::string, uint64_t> parts;
    for (const TableRow& row : table.rows)
      if (row.kind == RowKind::k_jsheap) parts[functionsOf(row)[0]] += row.bytes;
    return parts;
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
  EXPECT_EQ(taken.totals.total_bytes, kUnknown);
  EXPECT_EQ(taken.texts, (std::vector<std::string_view>{"outer", "inner", "/a.js"}));
  ASSERT_EQ(taken.nodes.size(), 2U);
  EXPECT_EQ(taken.nodes[1].parent, 1U);
  EXPECT_EQ(taken.nodes[1].line, 7U);
  EXPECT_EQ(taken.nodes[1].column, 3U);
  EXPECT_EQ(taken.nodes[1].bytes, 1ULL << 40);
}

TEST(JsHeapStream, CutOffAnywhereIsSaid) {
  const std::string payload = payloadOf(1000, 2000);
  const size_t without_totals = payload.size() - 3 * kMaxVarintBytes;
  for (size_t bytes = 0; bytes < payload.size(); bytes++) {
    JsHeapProfile taken;
    if (bytes == without_totals) continue;  // what an earlier writer wrote
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

using Parts = std::map<std::string, uint64_t>;
constexpr const char* kFree = "(V8's heap: free room)";
constexpr const char* kOthers = "(V8's heap: other isolates)";
constexpr const char* kOlder = "(V8's heap: objects older than the capture, or between samples)";

TEST(JsHeap, PartsAddUpToTheTotalsOfV8) {
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {payloadOf(10'000, 50'000, {110'000, 75'000, 40'000}), 0});
  EXPECT_EQ(of.heapParts(), (Parts{{"outer", 10'000},
                                   {"inner", 50'000},
                                   {kFree, 35'000},
                                   {kOlder, 15'000},
                                   {kOthers, 40'000}}));
  EXPECT_EQ(of.bytesOf(RowKind::k_jsheap), 110'000U + 40'000U);
  EXPECT_EQ(of.table.total_bytes, 110'000U + 40'000U + 30'000U + 20'000U);
}

TEST(JsHeap, SamplesAreAtMostTheObjectsThatV8Counts) {
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {payloadOf(20'000, 60'000, {90'000, 40'000, 0}), 0});
  EXPECT_EQ(of.heapParts(), (Parts{{"outer", 10'000}, {"inner", 30'000}, {kFree, 50'000}}));
}

TEST(JsHeap, OtherIsolatesThatDoNotReportHaveTheRestOfTheMappings) {
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {payloadOf(10'000, 20'000, {60'000, 30'000, kUnknown}), 0});
  EXPECT_EQ(of.heapParts()[kOthers], 40'000U);
  EXPECT_EQ(of.table.total_bytes, 150'000U);
}

TEST(JsHeap, TellsObjectsWithoutAFunctionFromFunctions) {
  JsHeapProfile profile;
  profile.texts = {"(GC)", "", "(mine)"};
  // The second is a function of that name, since something called it.
  profile.nodes = {{0, 0, 1, 0, 0, 700}, {1, 2, 1, 0, 0, 300}};
  std::string payload;
  putJsHeap(profile, payload);
  TableWithV8 of;
  addJsHeap(of.table, of.tree, {payload, 0});
  Parts parts = of.heapParts();
  EXPECT_EQ(parts["(no JavaScript on the stack: GC)"], 700U);
  EXPECT_EQ(parts["(mine)"], 300U);
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
