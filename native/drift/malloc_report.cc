// SPDX-License-Identifier: MIT
#include "drift/malloc_report.h"

#include <dlfcn.h>

#include <cstring>
#include <mutex>

#include "drift/allocator.h"
#include "drift/walking_child.h"
#include "errors.h"

namespace memdrift {

namespace {

std::string inWords(WalkFailure failure, int error_number) {
  switch (failure) {
    case WalkFailure::kNoMaps:
      return std::string("the kernel does not tell which pages are there: ") +
             strerror(error_number);
    case WalkFailure::kNoMemory:
      return "there is no memory for the tables of the walk";
    case WalkFailure::kNoMainArena:
      return "nothing in the C library looks like malloc's state";
    case WalkFailure::kBadArenas:
      return "the list of malloc's arenas leads to memory that is none";
    case WalkFailure::kTooMany:
      return "there are more arenas than can be listed";
    case WalkFailure::kNone:
      break;
  }
  return "";
}

std::string whyNot(const ChildEnd& end, const WalkResult& result) {
  const WalkPhase phase = result.phase.load();
  if (phase == WalkPhase::kFailed) return inWords(result.failure, result.error_number);
  if (phase >= WalkPhase::kWalked) return "";
  if (end.is_late) return "the walk took too long and was ended";
  if (end.signal != 0) return std::string("the walk was ended by: ") + strsignal(end.signal);
  return "the child that was to walk ended early";
}

constexpr uint64_t kMostUncounted = 16;

struct Totals {
  uint64_t system_bytes = 0;
  uint64_t free_bytes = 0;
  uint64_t fast_bytes = 0;
  bool is_whole = true;
};

Totals totalsOf(const MallocReport& report) {
  Totals totals;
  for (const ArenaReport& arena : report.arenas) {
    const ArenaFigures& figures = arena.figures;
    totals.system_bytes += figures.system_bytes;
    totals.free_bytes += figures.free.bytes + figures.fast.bytes + figures.top.bytes;
    totals.fast_bytes += figures.fast.bytes;
    totals.is_whole &= figures.is_whole;
  }
  return totals;
}

bool areSame(uint64_t walked, uint64_t told, const OwnFigures& own) {
  return own.is_modulo_32_bits ? static_cast<uint32_t>(walked) == static_cast<uint32_t>(told)
                               : walked == told;
}

std::string whyEstimated(const MallocReport& report, const WalkResult& result) {
  const Totals totals = totalsOf(report);
  const OwnFigures& own = result.own;
  if (!totals.is_whole) return "a part of the heap has no chunks that follow each other";
  if (result.phase.load() != WalkPhase::kChecked) return "malloc's own figures could not be read";
  if (!own.is_known) return "malloc has no figures of its own to compare with";
  if (!areSame(totals.system_bytes, own.system_bytes, own) ||
      !areSame(totals.free_bytes, own.free_bytes, own) ||
      !areSame(totals.fast_bytes, own.fast_bytes, own)) {
    return "malloc counts " + std::to_string(own.free_bytes) + " free bytes, the walk " +
           std::to_string(totals.free_bytes);
  }
  if (report.thread_caches == 0) return "what is in threads' caches is not known";
  if (!result.knows_zero_pages) return "this kernel does not tell pages of zeros from others";
  return "";
}

std::optional<MappedBlocks> mappedBlocks(const WalkResult& result) {
  const OwnFigures& own = result.own;
  if (!own.is_known) return std::nullopt;
  MappedBlocks blocks = {own.mapped_blocks, own.mapped_bytes, std::nullopt, {}};
  if (own.mapped_blocks != result.block_count ||
      !areSame(result.block_bytes, own.mapped_bytes, own)) {
    // The low half of a number only: better none.
    if (own.is_modulo_32_bits) return std::nullopt;
    // A thread maps a block before it counts it, and the other way round; many more are somebody
    // else's.
    if (result.block_count <= own.mapped_blocks + kMostUncounted)
      blocks.ranges.assign(result.blocks, result.blocks + result.block_count);
    return blocks;
  }
  blocks.bytes = result.block_bytes;
  blocks.resident_bytes = result.block_resident_bytes;
  blocks.ranges.assign(result.blocks, result.blocks + result.block_count);
  return blocks;
}

void takeResult(const WalkResult& result, MallocReport& report) {
  for (uint32_t i = 0; i < result.arena_count; i++) {
    const ArenaFigures& figures = result.arenas[i];
    report.arenas.push_back({figures, {}});
    report.trim_bytes += figures.trim_bytes + figures.trim_top_bytes;
  }
  for (uint32_t i = 0; i < result.area_count; i++) {
    const AreaRecord& area = result.areas[i];
    report.arenas[area.arena].ranges.push_back({area.start, area.end});
  }
  report.buffers = result.buffers;
  report.strings = result.strings;
  report.buffers_elsewhere.assign(result.elsewhere,
                                  result.elsewhere + result.buffers.elsewhere_count);
  report.thread_caches = result.thread_caches;
  report.mapped = mappedBlocks(result);
  report.why_estimated = whyEstimated(report, result);
}

// Returns the isolate of the calling thread; 0 when it runs no JavaScript, or V8 is missing.
uint64_t currentIsolate() {
  using TryGetCurrent = void* (*)();
  static const auto current =
      reinterpret_cast<TryGetCurrent>(dlsym(RTLD_DEFAULT, "_ZN2v87Isolate13TryGetCurrentEv"));
  return current ? reinterpret_cast<uint64_t>(current()) : 0;
}

}  // namespace

MallocReport readOwnMalloc() {
  static std::mutex one_at_a_time;
  const std::lock_guard hold(one_at_a_time);
  MallocReport report;
  const Allocator allocator = findAllocator();
  report.allocator = allocator.name;
  if (!allocator.is_glibc || sizeof(void*) != kWordBytes) {
    report.why_not = "the layout of this malloc's memory is not known";
    if (allocator.name == "jemalloc") report.own = readJemalloc();
    const std::string more = allocator.name == "mimalloc" ? describeMimalloc() : "";
    if (!more.empty()) report.why_not += "; " + more;
    return report;
  }
  try {
    const SharedResult result;
    result->isolate = currentIsolate();
    const ChildEnd end = walkInChild(allocator, *result);
    report.fork_ms = end.fork_ms;
    report.walk_ms = end.walk_ms;
    report.why_not = whyNot(end, *result);
    report.is_walked = report.why_not.empty();
    if (report.is_walked) takeResult(*result, report);
  } catch (const Error& error) {
    report.why_not = error.what();
  }
  return report;
}

}  // namespace memdrift
