// SPDX-License-Identifier: MIT
// What is said of malloc's memory must be what the program did, and what a trim returns.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "drift/frozen_memory.h"
#include "drift/malloc_report.h"

namespace memdrift {

using Values = std::map<std::string, std::string>;

// Runs malloc_program: its lines "name=value".
static Values valuesOf(const std::string& arguments, const std::string& environment = "") {
  Values values;
  const std::string command = environment + " " MALLOC_PROGRAM " " + arguments;
  FILE* const output = popen(command.c_str(), "r");
  if (!output) return values;
  char line[1024];
  while (fgets(line, sizeof line, output)) {
    const std::string text(line);
    const size_t equals = text.find('=');
    if (equals != std::string::npos)
      values[text.substr(0, equals)] = text.substr(equals + 1, text.size() - equals - 2);
  }
  EXPECT_EQ(pclose(output), 0) << command;
  return values;
}

static double numberOf(const Values& values, const std::string& name) {
  const auto found = values.find(name);
  EXPECT_NE(found, values.end()) << name;
  return found == values.end() ? -1 : std::stod(found->second);
}

static double sumOf(const Values& values, std::initializer_list<const char*> names) {
  double sum = 0;
  for (const char* name : names) sum += numberOf(values, name);
  return sum;
}

struct Tolerance {
  double share, bytes;  // whichever is more
};

static void expectClose(double value, double expected, Tolerance tolerance) {
  EXPECT_NEAR(value, expected, std::max(expected * tolerance.share, tolerance.bytes));
}

// What holds of each state, exactly told or not.
static void expectSums(const Values& values) {
  EXPECT_EQ(values.at("why_not"), "");
  EXPECT_EQ(sumOf(values, {"in_use", "cache", "fast", "free", "top", "other"}),
            numberOf(values, "all"));
  EXPECT_EQ(sumOf(values, {"in_use_resident", "cache_resident", "fast_resident", "free_resident",
                           "top_resident", "other_resident"}),
            numberOf(values, "all_resident"));
}

static Values stateOf(const std::string& name) {
  Values values = valuesOf(name);
  expectSums(values);
  EXPECT_EQ(values.at("why_estimated"), "");
  expectClose(numberOf(values, "trim"), numberOf(values, "returned"), {0.05, 1e6});
  const double held = sumOf(values, {"in_use"});
  expectClose(held, numberOf(values, "expected_in_use"), {0.03, 2e6});
  return values;
}

static void expectFreed(const Values& values) {
  const double freed = sumOf(values, {"cache", "fast", "free", "top"});
  expectClose(freed, numberOf(values, "expected_freed"), {0.03, 2e6});
}

TEST(MallocArenas, WhatIsHeldIsInUse) {
  const Values values = stateOf("held");
  expectFreed(values);
  EXPECT_LT(numberOf(values, "returned"), 1e5);
}

TEST(MallocArenas, ContentsOfBuffersAreFoundByTheObjectsOfThem) {
  const Values values = stateOf("buffers");
  EXPECT_EQ(numberOf(values, "buffers"), 1001);
  EXPECT_EQ(numberOf(values, "buffers_in_arenas"), numberOf(values, "expected_buffers"));
  expectClose(numberOf(values, "buffers_in_blocks"), 8 << 20, {0, 8192});
  expectClose(numberOf(values, "buffers_in_blocks_resident"), 4 << 20, {0, 8192});
  EXPECT_EQ(numberOf(values, "buffers_elsewhere"), 1);
  EXPECT_EQ(numberOf(values, "elsewhere_bytes"), 100'000);
}

TEST(MallocArenas, FreedBehindPinsIsFreeAndWouldBeReturned) {
  const Values values = stateOf("pinned");
  expectFreed(values);
  EXPECT_GT(numberOf(values, "trim"), 100e6);
  // One hole may be behind the last pin.
  EXPECT_LT(numberOf(values, "loose_end"), 2e6);
  EXPECT_GT(numberOf(values, "large_hole"), 100e6);
}

TEST(MallocArenas, WithAPinPerPageNearlyAllIsFreeAndNothingWouldBeReturned) {
  const Values values = stateOf("pin-per-page");
  expectFreed(values);
  EXPECT_GT(numberOf(values, "free_resident"), 80e6);
  EXPECT_LT(numberOf(values, "trim"), 1e5);
}

TEST(MallocArenas, WhatIsTrimmedIsFreeAndNotResident) {
  const Values values = stateOf("trimmed");
  expectFreed(values);
  EXPECT_GT(numberOf(values, "free"), 100e6);
  EXPECT_LT(numberOf(values, "free_resident"), 5e6);
  EXPECT_EQ(numberOf(values, "trim"), 0);
}

TEST(MallocArenas, FastBinsAreFreeAndMergedAtATrim) {
  const Values values = stateOf("fast");
  expectFreed(values);
  // glibc 2.43 has no fast bins any more.
  EXPECT_GT(sumOf(values, {"fast", "free", "top"}), 33e6);
  EXPECT_GT(numberOf(values, "trim"), 33e6);
}

TEST(MallocArenas, FastBinsBeforeTheTopGoWithIt) {
  const Values values = stateOf("fast-top");
  expectFreed(values);
  // glibc 2.43 has no fast bins any more.
  EXPECT_GT(sumOf(values, {"fast", "free", "top"}), 33e6);
  EXPECT_GT(numberOf(values, "trim"), 33e6);
}

TEST(MallocArenas, ThreadsCachesAreFoundAndAreNotInUse) {
  const Values values = stateOf("thread-caches");
  EXPECT_EQ(numberOf(values, "caches"), 21);
  expectClose(numberOf(values, "cache"), numberOf(values, "expected_freed"), {0.03, 0});
}

TEST(MallocArenas, ArenasOfThreadsAreWalkedThroughAllTheirPieces) {
  const Values values = stateOf("arenas");
  expectFreed(values);
  EXPECT_EQ(numberOf(values, "arenas"), 7);
  EXPECT_GT(numberOf(values, "trim"), 400e6);
}

TEST(MallocArenas, TheMainArenasTopWouldBeReturned) {
  const Values values = stateOf("top");
  expectFreed(values);
  EXPECT_GT(numberOf(values, "top_resident"), 79e6);
  EXPECT_GT(numberOf(values, "loose_end"), 79e6);
  EXPECT_LT(numberOf(values, "large_hole"), 2e6);
  EXPECT_GT(numberOf(values, "trim"), 79e6);
}

TEST(MallocArenas, LargeBlocksAreFoundWithWhatIsTouched) {
  const Values values = stateOf("mapped");
  EXPECT_EQ(numberOf(values, "mapped_count"), 20);
  EXPECT_EQ(numberOf(values, "mapped"), 20 * ((8 << 20) + 4096));
  expectClose(numberOf(values, "mapped_resident"), 20.0 * (4 << 20), {0.01, 0});
}

TEST(MallocArenas, MemoryThatSomebodyElseTookWithBrkIsNotMallocs) {
  const Values values = stateOf("other-brk");
  expectFreed(values);
  expectClose(numberOf(values, "other"), 100'000, {0, 4096});
}

TEST(MallocArenas, WhereBrkIsBlockedTheMainArenasMappingsAreFound) {
  const Values values = stateOf("blocked-brk");
  expectFreed(values);
  EXPECT_GT(numberOf(values, "trim"), 50e6);
}

TEST(MallocArenas, EveryLookFindsAWholeHeapWhileThreadsAllocate) {
  const Values values = valuesOf("busy");
  EXPECT_EQ(numberOf(values, "whole"), 200) << values.at("last");
}

TEST(MallocArenas, AHeapThatWasWrittenOverIsNeitherExactNorTheEndOfTheProgram) {
  const Values values = valuesOf("corrupt");
  EXPECT_EQ(numberOf(values, "went_on"), 200);
  EXPECT_EQ(numberOf(values, "exact"), 0);
}

TEST(MallocArenas, ALookThatWouldNotEndIsEnded) {
  const Values values = valuesOf("endless");
  expectSums(values);
  EXPECT_EQ(values.at("why_estimated"), "malloc's own figures could not be read");
  expectFreed(values);
  EXPECT_LT(numberOf(values, "walk_ms"), 10'000);
}

TEST(MallocArenas, OtherAllocatorsAreNamedAndNotWalked) {
  const std::pair<const char*, const char*> libraries[] = {
      {"libjemalloc.so.2", "jemalloc"},
      {"libmimalloc.so.2", "mimalloc"},
      {"libtcmalloc.so.4", "tcmalloc"},
  };
  for (const auto& [library, name] : libraries) {
    const std::string environment = std::string("LD_PRELOAD=") + library;
    const Values values = valuesOf("allocator 2>/dev/null", environment);
    if (values.at("allocator").starts_with("glibc")) continue;  // not installed here
    EXPECT_EQ(values.at("allocator"), name);
    EXPECT_NE(values.at("why_not"), "");
  }
}

// In this very process: under sanitizers malloc is not glibc's.
TEST(MallocArenas, SaysWhoseMallocThisIs) {
  const MallocReport report = readOwnMalloc();
  EXPECT_NE(report.allocator, "");
  EXPECT_EQ(report.is_walked, report.why_not.empty());
}

static uint64_t residentOf(FrozenMemory& memory, AddressRange range) {
  PageBits bits;
  EXPECT_TRUE(memory.look());
  EXPECT_TRUE(memory.findPages(range, bits));
  // Parts of pages count as parts, wherever the range is cut.
  const uint64_t middle = range.start + 12'345;
  EXPECT_EQ(bits.residentIn(range.start, middle) + bits.residentIn(middle, range.end),
            bits.residentIn(range.start, range.end));
  return bits.residentIn(range.start, range.end);
}

TEST(FrozenMemory, CountsPagesWithAndWithoutTheKernelsScan) {
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t size = 1000 * page;
  auto* const memory = takePages<char>(size);
  madvise(memory, size, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < size; i += 3 * page) memory[i] = 1;
  const auto start = reinterpret_cast<uint64_t>(memory);
  for (const bool has_scan : {true, false}) {
    FrozenMemory frozen(has_scan);
    EXPECT_EQ(residentOf(frozen, {start, start + size}), 334 * page);
    EXPECT_TRUE(frozen.canRead(start, size));
    EXPECT_FALSE(frozen.canRead(8, 8));
    EXPECT_FALSE(frozen.canRead(start, ~uint64_t{0}));
  }
}

}  // namespace memdrift
