// SPDX-License-Identifier: MIT
#include "analysis/live_memory.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <map>
#include <random>

#include "analysis/code_names.h"

namespace memdrift {

namespace {

Event alloc(uint32_t stream, uint64_t address, uint64_t bytes) {
  Event event;
  event.type = EventType::alloc;
  event.stream = stream;
  event.address = address;
  event.bytes = event.weight = bytes;
  return event;
}

Event release(uint32_t stream, uint64_t address) {
  Event event;
  event.type = EventType::free;
  event.hook = HookId::k_free;
  event.stream = stream;
  event.address = address;
  return event;
}

Event range(EventType type, uint64_t address, uint64_t bytes) {
  Event event;
  event.type = type;
  event.stream = 1;
  event.address = address;
  event.bytes = bytes;
  event.protection = PROT_READ | PROT_WRITE;
  event.flags = MAP_PRIVATE | MAP_ANONYMOUS;
  event.advice = MADV_DONTNEED;
  return event;
}

}  // namespace

TEST(BlockMap, AgreesWithAMap) {
  std::mt19937_64 random(1);
  BlockMap blocks;
  std::map<uint64_t, uint64_t> expected;
  for (int i = 0; i < 200'000; i++) {
    const uint64_t address = (random() % 20'000 + 1) * 16;
    LiveBlock* found = blocks.find(address);
    ASSERT_EQ(found != nullptr, expected.contains(address));
    if (found) {
      ASSERT_EQ(found->bytes, expected[address]);
      blocks.remove(found);
      expected.erase(address);
    } else {
      LiveBlock& place = blocks.placeOf(address);
      ASSERT_EQ(place.address, 0U);
      blocks.put(place, {address, static_cast<uint64_t>(i), 0});
      ASSERT_EQ(blocks.placeOf(address).bytes, static_cast<uint64_t>(i));
      expected[address] = static_cast<uint64_t>(i);
    }
  }
  EXPECT_EQ(blocks.count(), expected.size());
  size_t count = 0;
  blocks.forEach([&](const LiveBlock& block) { count += expected.contains(block.address); });
  EXPECT_EQ(count, expected.size());
}

// The peak and who held it, against a replay that looks at everything after every event.
TEST(SiteTotals, HasThePeakOfASlowReplay) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; round++) {
    SiteTotals totals;
    std::map<uint32_t, int64_t> now, at_peak;
    int64_t total = 0, peak = 0;
    std::vector<std::pair<uint32_t, int64_t>> blocks;
    for (int i = 0; i < 300; i++) {
      const bool frees = !blocks.empty() && random() % 5 < 2;
      uint32_t site = static_cast<uint32_t>(random() % 8);
      int64_t bytes = static_cast<int64_t>(random() % 100 + 1);
      if (frees) {
        std::tie(site, bytes) = blocks.back();
        blocks.pop_back();
        bytes = -bytes;
      } else {
        blocks.emplace_back(site, bytes);
      }
      totals.change(site, bytes, frees ? -1 : 1);
      now[site] += bytes;
      total += bytes;
      if (total > peak) {
        peak = total;
        at_peak = now;
      }
    }
    totals.finish();
    ASSERT_EQ(totals.peakBytes(), peak);
    ASSERT_EQ(totals.totalBytes(), total);
    for (uint32_t site = 0; site < totals.siteCount(); site++) {
      ASSERT_EQ(totals.atPeak(site).bytes, at_peak[site]);
      ASSERT_EQ(totals.now(site).bytes, now[site]);
    }
  }
}

// Byte for byte of a small space of pages.
TEST(LiveMemory, MappingsAgreeWithATableOfPages) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 30; round++) {
    LiveMemory memory;
    enum State { none, reserved, usable };
    std::vector<State> pages(64, none);
    for (int i = 0; i < 400; i++) {
      const uint64_t first = random() % 60, count = random() % (64 - first) + 1;
      const uint64_t address = 0x100000 + first * 4096;
      const int choice = static_cast<int>(random() % 5);
      Event event = range(EventType::map, address, count * 4096);
      const auto each = [&](auto&& change) {
        for (uint64_t p = first; p < first + count; p++) change(pages[p]);
      };
      if (choice == 0) {
        each([](State& page) { page = usable; });
      } else if (choice == 1) {
        event.protection = PROT_NONE;
        each([](State& page) { page = reserved; });
      } else if (choice == 2) {
        event.type = EventType::unmap;
        each([](State& page) { page = none; });
      } else if (choice == 3) {
        event.type = EventType::protect;
        if (random() % 2) event.protection = PROT_NONE;
        const State to = event.protection == PROT_NONE ? reserved : usable;
        each([&](State& page) { page = page == none ? none : to; });
      } else {
        event.type = EventType::advise;
        each([](State& page) { page = page == none ? none : reserved; });
      }
      memory.onEvent(event);
      const auto expected = std::count(pages.begin(), pages.end(), usable) * 4096;
      ASSERT_EQ(memory.heap().totalBytes(), expected) << i;
    }
  }
}

TEST(LiveMemory, MovesARange) {
  LiveMemory memory;
  memory.onEvent(range(EventType::map, 0x10000, 8192));
  Event event = range(EventType::remap, 0x90000, 16384);
  event.old_address = 0x10000;
  event.old_bytes = 8192;
  memory.onEvent(event);
  EXPECT_EQ(memory.heap().totalBytes(), 16384);
  memory.onEvent(range(EventType::unmap, 0x10000, 8192));
  EXPECT_EQ(memory.heap().totalBytes(), 16384);
  memory.onEvent(range(EventType::unmap, 0x90000, 16384));
  EXPECT_EQ(memory.heap().totalBytes(), 0);
}

TEST(LiveMemory, SharedAndFilesAreNotOfTheHeap) {
  LiveMemory memory;
  Event shared = range(EventType::map, 0x10000, 4096);
  shared.flags = MAP_SHARED | MAP_ANONYMOUS;
  Event file = range(EventType::map, 0x20000, 8192);
  file.is_file = true;
  memory.onEvent(shared);
  memory.onEvent(file);
  EXPECT_EQ(memory.heap().totalBytes(), 0);
  EXPECT_EQ(memory.beside().totalBytes(), 12288);
}

// One thread's free is told after another thread's allocation at the same address: within a moment
// the order across threads is not known.
TEST(LiveMemory, AFreeThatComesLateEndsTheOldBlock) {
  LiveMemory memory;
  memory.onEvent(alloc(1, 0x1000, 10));
  memory.onEvent(alloc(2, 0x1000, 20));
  memory.onEvent(release(1, 0x1000));
  memory.finish();
  EXPECT_EQ(memory.heap().totalBytes(), 20);
  EXPECT_EQ(memory.counts().unknown_frees, 0U);
  EXPECT_EQ(memory.counts().closed_by_reuse, 0U);
}

TEST(LiveMemory, ABlockWhoseFreeWasLostEndsWhenItsAddressComesAgain) {
  LiveMemory memory;
  memory.onEvent(alloc(1, 0x1000, 10));
  memory.onEvent(alloc(1, 0x1000, 20));
  memory.onEpoch({1, 0});
  memory.onEpoch({2, 0});
  memory.onEpoch({3, 0});
  memory.onEvent(release(1, 0x1000));
  memory.finish();
  EXPECT_EQ(memory.heap().totalBytes(), 0);
  EXPECT_EQ(memory.counts().closed_by_reuse, 1U);
}

TEST(LiveMemory, AReallocThatFailsLeavesItsBlock) {
  LiveMemory memory;
  memory.onEvent(alloc(1, 0x1000, 10));
  Event free = release(1, 0x1000);
  free.hook = HookId::k_realloc;
  memory.onEvent(free);
  EXPECT_EQ(memory.heap().totalBytes(), 0);
  Event restore = release(1, 0x1000);
  restore.type = EventType::restore;
  memory.onEvent(restore);
  EXPECT_EQ(memory.heap().totalBytes(), 10);
  EXPECT_EQ(memory.counts().frees, 0U);
}

// A realloc that finds no room frees nothing and allocates nothing.
TEST(LiveMemory, ABlockThatIsGivenBackIsNoNewOneAndWasNotTemporary) {
  LiveMemory memory({.temporary_threshold = 1});
  memory.onEvent(alloc(1, 0x1000, 100));
  Event from = release(1, 0x1000);
  from.hook = HookId::k_realloc;
  memory.onEvent(from);
  Event restore = release(1, 0x1000);
  restore.type = EventType::restore;
  memory.onEvent(restore);
  memory.finish();
  const SiteTotal& ever = memory.heap().ever(1);
  EXPECT_EQ(ever.bytes, static_cast<int64_t>(memory.counts().total_bytes));
  EXPECT_EQ(ever.count, static_cast<int64_t>(memory.counts().allocations));
  EXPECT_EQ(memory.heap().now(1).bytes, 100);
  EXPECT_EQ(memory.temporary().at(1).count, 0);
  EXPECT_EQ(memory.temporary().at(1).bytes, 0);
}

// No allocator gives it out; a damaged capture may say so.
TEST(LiveMemory, NothingIsAtAddressZero) {
  LiveMemory memory;
  for (int i = 0; i < 10'000; i++) memory.onEvent(alloc(1, 0, 10));
  for (int i = 0; i < 20'000; i++) memory.onEvent(release(1, 0));
  memory.onEvent(alloc(1, 0x1000, 10));
  EXPECT_EQ(memory.heap().totalBytes(), 10);
  EXPECT_EQ(memory.blocks().count(), 1U);
}

TEST(FunctionName, IsTakenApartAsV8WritesIt) {
  const auto name = functionNameOf("JS:*inner /a folder/x.js:12:34");
  EXPECT_TRUE(name.is_js);
  EXPECT_EQ(name.function, "inner");
  EXPECT_EQ(name.file, "/a folder/x.js");
  EXPECT_EQ(name.line, 12U);
  EXPECT_EQ(name.column, 34U);
  EXPECT_EQ(functionNameOf("JS:*'outer file:///x.mjs:1:1").function, "outer");
  EXPECT_EQ(functionNameOf("JS:~ node:internal/modules/cjs/loader:1710:37").function, "");
  EXPECT_EQ(functionNameOf("JS:^get size node:buffer:3:4").function, "get size");
  EXPECT_EQ(functionNameOf("JS:~f [eval]:1:11").file, "[eval]");
  EXPECT_EQ(functionNameOf("JS:~lonely").function, "lonely");
  EXPECT_EQ(functionNameOf("JS:o+looped /x.js:1:1").function, "looped");
  EXPECT_EQ(functionNameOf("JS:^only /x.js:1:1").function, "only");
  EXPECT_EQ(functionNameOf("Script:~ /x.js:1:1").file, "/x.js");
  EXPECT_TRUE(functionNameOf("Eval:~ /x.js:1:1").is_js);
  EXPECT_FALSE(functionNameOf("Builtin:ArrayMap").is_js);
  EXPECT_EQ(functionNameOf("").function, "");
}

TEST(LiveMemory, AStackCountsAsFarAsItWasTouchedUntilItsThreadEnds) {
  LiveMemory memory;
  Event begin = range(EventType::stack, 0x10000, 0x8000);
  begin.maker_stream = 7;
  begin.maker_node = 0;
  memory.onEvent(begin);
  EXPECT_EQ(memory.beside().totalBytes(), 0);
  memory.onStackResidency({0x10000, 0x3000, 0});
  memory.onStackResidency({0x10000, 0x2000, 0});
  EXPECT_EQ(memory.beside().totalBytes(), 0x2000);
  EXPECT_EQ(memory.sites().back().stream, 7U);
  EXPECT_EQ(memory.sites().back().kind, AllocationKind::stack);
  memory.onEvent(range(EventType::stack_end, 0x10000, 0));
  EXPECT_EQ(memory.beside().totalBytes(), 0);
  // What the writer saw before the end may be told after it.
  memory.onStackResidency({0x10000, 0x2000, 0});
  EXPECT_EQ(memory.beside().totalBytes(), 0);
  memory.onStackResidency({0x20000, 0x1000, 1});
  EXPECT_EQ(memory.beside().totalBytes(), 0x1000);
  EXPECT_EQ(memory.heap().totalBytes(), 0);
}

TEST(LiveMemory, AStackThatIsLookedAtBeforeItsThreadsRecordComesIsNotLost) {
  LiveMemory memory;
  memory.onStackResidency({0x10000, 0x3000, 0});
  memory.onEpoch({1, 0});
  memory.onEvent(range(EventType::stack, 0x10000, 0x8000));
  EXPECT_EQ(memory.beside().totalBytes(), 0x3000);
  // But not for ever: another thread can have a stack there later.
  memory.onStackResidency({0x90000, 0x3000, 0});
  for (uint64_t epoch = 2; epoch < 5; epoch++) memory.onEpoch({epoch, 0});
  memory.onEvent(range(EventType::stack, 0x90000, 0x8000));
  EXPECT_EQ(memory.beside().totalBytes(), 0x3000);
}

TEST(LiveMemory, WhatIsBesideTheHeapIsToldOfTheHeapsPeak) {
  LiveMemory memory;
  Event file = range(EventType::map, 0x100000, 0x1000);
  file.is_file = true;
  memory.onEvent(file);
  memory.onEvent(alloc(1, 0x10, 100));
  memory.onEvent(release(1, 0x10));
  file.address = 0x200000;
  memory.onEvent(file);
  memory.finish();
  int64_t at_peak = 0;
  for (uint32_t site = 0; site < memory.beside().siteCount(); site++)
    at_peak += memory.beside().atPeak(site).bytes;
  EXPECT_EQ(at_peak, 0x1000);
  EXPECT_EQ(memory.beside().totalBytes(), 0x2000);
}

TEST(LiveMemory, KeepsNothingOfEndedThreadsThatHoldNothing) {
  constexpr uint32_t kThreads = 2000, kNodes = 200;
  LiveMemory memory;
  for (uint32_t stream = 1; stream <= kThreads; stream++) {
    for (uint32_t node = 1; node <= kNodes; node++) {
      Event made = alloc(stream, 0, 0);
      made.type = EventType::node;
      made.node = node;
      made.place = node;
      memory.onEvent(made);
      made = alloc(stream, stream * 0x1000 + node * 16, 8);
      made.node = node;
      memory.onEvent(made);
      // Each thread leaves one block.
      if (node != kNodes) memory.onEvent(release(stream, made.address));
    }
    memory.onStreamEnd(stream);
    memory.onEpoch({stream, 0});
  }
  memory.finish();
  EXPECT_EQ(memory.stacks().count(), kNodes + 1);
  EXPECT_LT(memory.sites().size(), kThreads * kNodes / 2);
  EXPECT_EQ(memory.heap().totalBytes(), kThreads * 8);
  EXPECT_EQ(memory.counts().allocations, kThreads * kNodes);
}

TEST(LiveMemory, KnowsTheStackOfAMakerThatHasEnded) {
  LiveMemory memory;
  Event node = alloc(1, 0, 0);
  node.type = EventType::node;
  node.node = 1;
  node.place = 0x77;
  memory.onEvent(node);
  memory.onStreamEnd(1);
  Event begin = range(EventType::stack, 0x10000, 0x8000);
  begin.stream = 2;
  begin.maker_stream = begin.maker_node = 1;
  memory.onEvent(begin);
  EXPECT_EQ(memory.stacks()[memory.sites().back().node].place, 0x77U);
}

TEST(LiveMemory, AStackThatNoStreamHasIsEmpty) {
  LiveMemory memory;
  Event made = alloc(3, 0x10, 8);
  made.node = 9;
  memory.onEvent(made);
  EXPECT_EQ(memory.sites().back().node, 0U);
}

}  // namespace memdrift
