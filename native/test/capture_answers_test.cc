// SPDX-License-Identifier: MIT
// Peak, leaks, temporary blocks and timeline of random captures, against a replay that is slow and
// obvious.
#include <gtest/gtest.h>

#include <map>
#include <random>
#include <vector>

#include "analysis/live_memory.h"

namespace memdrift {

namespace {

struct Block {
  uint64_t address, bytes;
  uint32_t stream, node;
  size_t made_at;  // among the allocations of its stream
};

using Sites = std::map<std::pair<uint32_t, uint32_t>, int64_t>;

// Looks at all blocks after every event.
struct Reference {
  std::vector<Block> live;
  std::map<uint32_t, size_t> allocations;
  Sites at_peak, temporary;
  int64_t peak = 0;

  int64_t total() const {
    int64_t sum = 0;
    for (const Block& block : live) sum += static_cast<int64_t>(block.bytes);
    return sum;
  }
  Sites now() const {
    Sites sites;
    for (const Block& block : live)
      sites[{block.stream, block.node}] += static_cast<int64_t>(block.bytes);
    return sites;
  }
  void look() {
    if (total() <= peak) return;
    peak = total();
    at_peak = now();
  }
};

Event event(EventType type, uint32_t stream, uint64_t address) {
  Event result;
  result.type = type;
  result.stream = stream;
  result.address = address;
  return result;
}

template <typename ValueOf>
Sites sitesOf(const LiveMemory& memory, ValueOf&& value_of) {
  Sites sites;
  for (uint32_t i = 1; i < memory.sites().size(); i++) {
    const Site& site = memory.sites()[i];
    if (const int64_t bytes = value_of(i); bytes != 0) sites[{site.stream, site.node}] += bytes;
  }
  return sites;
}

struct Played {
  std::vector<Event> events;
  Reference reference;
};

Played randomRun(uint64_t seed, uint32_t threshold) {
  std::mt19937_64 random(seed);
  Played run;
  Reference& reference = run.reference;
  for (int i = 0; i < 200; i++) {
    const auto stream = static_cast<uint32_t>(random() % 3);
    if (!reference.live.empty() && random() % 5 < 2) {
      const size_t which =
          random() % 3 == 0 ? random() % reference.live.size() : reference.live.size() - 1;
      const Block block = reference.live[which];
      reference.live.erase(reference.live.begin() + static_cast<long>(which));
      if (reference.allocations[block.stream] - block.made_at <= threshold)
        reference.temporary[{block.stream, block.node}] += static_cast<int64_t>(block.bytes);
      run.events.push_back(event(EventType::free, stream, block.address));
    } else {
      const Block block = {0x1000 + static_cast<uint64_t>(i) * 64, random() % 1000 + 1, stream,
                           static_cast<uint32_t>(random() % 4), ++reference.allocations[stream]};
      reference.live.push_back(block);
      Event made = event(EventType::alloc, stream, block.address);
      made.bytes = made.weight = block.bytes;
      made.node = block.node;
      run.events.push_back(made);
    }
    reference.look();
  }
  return run;
}

TEST(CaptureAnswers, AreThoseOfASlowReplayOfAThousandCaptures) {
  for (uint64_t seed = 0; seed < 1000; seed++) {
    const auto threshold = static_cast<uint32_t>(seed % 4 + 1);
    const Played run = randomRun(seed, threshold);
    LiveMemory memory(threshold);
    for (const Event& one : run.events) memory.onEvent(one);
    memory.finish();
    const Reference& slow = run.reference;
    ASSERT_EQ(memory.heap().peakBytes(), slow.peak);
    ASSERT_EQ(memory.heap().totalBytes(), slow.total());
    const SiteTotals& heap = memory.heap();
    ASSERT_EQ(sitesOf(memory, [&](uint32_t i) { return heap.atPeak(i).bytes; }), slow.at_peak);
    ASSERT_EQ(sitesOf(memory, [&](uint32_t i) { return heap.now(i).bytes; }), slow.now());
    const std::vector<SiteTotal>& temporary = memory.temporary();
    ASSERT_EQ(
        sitesOf(memory, [&](uint32_t i) { return i < temporary.size() ? temporary[i].bytes : 0; }),
        slow.temporary);
  }
}

TEST(CaptureAnswers, LeavesOutWhatWasAllocatedLast) {
  for (uint64_t seed = 0; seed < 1000; seed++) {
    const Played run = randomRun(seed, 1);
    const size_t tail = seed % run.events.size();
    LiveMemory memory;
    std::map<uint64_t, const Event*> older;
    for (size_t i = 0; i < run.events.size(); i++) {
      const Event& one = run.events[i];
      if (i == tail) memory.leaveOutFromHere();
      memory.onEvent(one);
      if (one.type == EventType::free)
        older.erase(one.address);
      else if (i < tail)
        older[one.address] = &one;
    }
    memory.finish();
    Sites expected, found;
    int64_t left_out = memory.heap().totalBytes();
    for (const auto& [address, one] : older) {
      expected[{one->stream, one->node}] += static_cast<int64_t>(one->bytes);
      left_out -= static_cast<int64_t>(one->bytes);
    }
    for (uint32_t i = 1; i < memory.sites().size(); i++) {
      const int64_t bytes = memory.heap().now(i).bytes;
      const Site& site = memory.sites()[i];
      if (memory.isLeftOut(i))
        left_out -= bytes;
      else if (bytes != 0)
        found[{site.stream, site.node}] += bytes;
    }
    ASSERT_EQ(found, expected);
    ASSERT_EQ(left_out, 0);
    ASSERT_EQ(memory.heap().totalBytes(), run.reference.total());
  }
}

TEST(CaptureAnswers, TheTimelineHasThePeakAndTheEnd) {
  for (uint64_t seed = 0; seed < 1000; seed++) {
    const Played run = randomRun(seed, 1);
    LiveMemory first;
    for (const Event& one : run.events) first.onEvent(one);
    first.finish();
    Timeline timeline({0, 200, 10, first.heap().peakChange()});
    LiveMemory memory;
    memory.follow(&timeline);
    for (size_t i = 0; i < run.events.size(); i++) {
      memory.onEvent(run.events[i]);
      timeline.advance(i, memory.heap());
      if (i == 77) timeline.mark(i, "here", memory.heap());
    }
    memory.finish();
    timeline.finish(memory.heap());
    std::vector<int64_t> now(memory.sites().size());
    size_t at = 0;
    int marks = 0, peaks = 0;
    for (uint32_t moment = 0; moment < timeline.moments().size(); moment++) {
      for (; at < timeline.changes().size() && timeline.changes()[at].moment == moment; at++)
        now[timeline.changes()[at].site] += timeline.changes()[at].bytes;
      marks += timeline.moments()[moment].label == "here";
      if (!timeline.moments()[moment].is_peak) continue;
      peaks++;
      ASSERT_EQ(sitesOf(memory, [&](uint32_t i) { return now[i]; }), run.reference.at_peak);
    }
    ASSERT_EQ(sitesOf(memory, [&](uint32_t i) { return now[i]; }), run.reference.now());
    ASSERT_EQ(std::pair(marks, peaks), std::pair(1, 1));
    ASSERT_GE(timeline.moments().size(), 12U);
    ASSERT_LE(timeline.moments().size(), 14U);
  }
}

}  // namespace

}  // namespace memdrift
