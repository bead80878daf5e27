// SPDX-License-Identifier: MIT
// Peak, leaks, temporary blocks and timeline of random captures, against a replay that is slow and
// obvious.
#include <gtest/gtest.h>

#include <array>
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

// Looks at all blocks after every event. Streams end and others follow them.
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

// A stream's nodes are numbered from 1; each has its number for its place.
constexpr uint32_t kNodes = 4;

void addNodes(std::vector<Event>& events, uint32_t stream) {
  for (uint32_t node = 1; node < kNodes; node++) {
    Event made = event(EventType::node, stream, 0);
    made.node = node;
    made.place = node;
    events.push_back(made);
  }
}

// Stands for the end of a stream, and for the epoch after it.
Event endOf(uint32_t stream) { return event(EventType::epoch, stream, 0); }

void play(LiveMemory& memory, const Event& one) {
  if (one.type != EventType::epoch) return memory.onEvent(one);
  memory.onStreamEnd(one.stream);
  memory.onEpoch({});
}

uint32_t numberIn(const LiveMemory& memory, uint32_t shared) {
  return static_cast<uint32_t>(memory.stacks()[shared].place);
}

template <typename ValueOf>
Sites sitesOf(const LiveMemory& memory, ValueOf&& value_of) {
  Sites sites;
  for (uint32_t i = 1; i < memory.sites().size(); i++) {
    const Site& site = memory.sites()[i];
    const uint32_t node = numberIn(memory, site.node);
    if (const int64_t bytes = value_of(i); bytes != 0) sites[{site.stream, node}] += bytes;
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
  std::array<uint32_t, 3> streams = {0, 1, 2};
  for (const uint32_t stream : streams) addNodes(run.events, stream);
  uint32_t next_stream = 3;
  for (int i = 0; i < 200; i++) {
    uint32_t& stream = streams[random() % streams.size()];
    if (random() % 10 == 0) {
      run.events.push_back(endOf(stream));
      stream = next_stream++;
      addNodes(run.events, stream);
    }
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
                           static_cast<uint32_t>(random() % kNodes),
                           ++reference.allocations[stream]};
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
    LiveMemory memory({.temporary_threshold = threshold, .most_sites = seed % 10});
    for (const Event& one : run.events) play(memory, one);
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
    LiveMemory memory({.most_sites = 0});
    std::map<uint64_t, const Event*> older;
    for (size_t i = 0; i < run.events.size(); i++) {
      const Event& one = run.events[i];
      if (i == tail) memory.leaveOutFromHere();
      play(memory, one);
      if (one.type == EventType::free)
        older.erase(one.address);
      else if (one.type == EventType::alloc && i < tail)
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
        found[{site.stream, numberIn(memory, site.node)}] += bytes;
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
    for (const Event& one : run.events) play(first, one);
    first.finish();
    Timeline timeline({0, 200, 10, first.heap().peakChange()});
    LiveMemory memory({.most_sites = 0});
    memory.follow(&timeline);
    for (size_t i = 0; i < run.events.size(); i++) {
      play(memory, run.events[i]);
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

TEST(CaptureAnswers, OfJoinedThreadsAreTheSumsOfThreads) {
  for (uint64_t seed = 0; seed < 100; seed++) {
    const Played run = randomRun(seed, 1);
    LiveMemory apart({.keeps_ended = true, .most_sites = 0});
    LiveMemory joined({.joins_threads = true, .most_sites = 0});
    for (LiveMemory* memory : {&apart, &joined}) {
      for (const Event& one : run.events) play(*memory, one);
      memory->finish();
    }
    EXPECT_LE(joined.sites().size(), kNodes + 1);
    const auto sums = [](const LiveMemory& memory) {
      std::map<uint32_t, std::vector<int64_t>> sums;
      for (uint32_t i = 1; i < memory.sites().size(); i++) {
        std::vector<int64_t>& sum = sums[numberIn(memory, memory.sites()[i].node)];
        sum.resize(4);
        sum[0] += memory.heap().now(i).bytes;
        sum[1] += memory.heap().atPeak(i).bytes;
        sum[2] += memory.heap().ever(i).bytes;
        sum[3] += memory.heap().ever(i).count;
      }
      return sums;
    };
    ASSERT_EQ(sums(joined), sums(apart));
  }
}

}  // namespace

}  // namespace memdrift
