// SPDX-License-Identifier: MIT
// Replays a capture's events: what is allocated, by whom, and how much at most.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <unordered_map>
#include <vector>

#include "analysis/allocation_sizes.h"
#include "analysis/block_map.h"
#include "analysis/live_mappings.h"
#include "analysis/range_map.h"
#include "analysis/shared_stacks.h"
#include "analysis/site_totals.h"
#include "analysis/timeline.h"
#include "capture/capture_reader.h"

namespace memdrift {

// Who allocates: one stack of one thread, and what kind of memory.
struct Site {
  uint32_t stream;  // 0: all threads
  uint32_t node;    // of the shared stacks; 0: no stack
  AllocationKind kind;
};

struct EventCounts {
  uint64_t events = 0;
  uint64_t allocations = 0;
  uint64_t frees = 0;
  uint64_t total_bytes = 0;      // of the heap's kinds, ever
  uint64_t lost_records = 0;     // told by the streams themselves
  uint64_t unknown_frees = 0;    // of what was allocated before the capture began
  uint64_t closed_by_reuse = 0;  // blocks whose end was not seen: their address came again
};

// Bytes of live blocks, by where glibc puts them: most in its heap, each large one in a mapping.
struct BlockRoom {
  uint64_t heap_bytes = 0;
  uint64_t mapped_bytes = 0;
};

struct ReplayOptions {
  // A block is temporary when it is freed within this many further allocations of its thread; 0: no
  // block is.
  uint32_t temporary_threshold = 0;
  bool joins_threads = false;  // a stack has one site for all threads
  // Keeps sites of ended threads that hold nothing, for their total allocations.
  bool keeps_ended = false;
  size_t most_sites = 1 << 17;  // idle ones are not searched for below
  MappingWeight weight = MappingWeight::resident;
};

class LiveMemory final : public CaptureVisitor, MappingTotals {
 public:
  explicit LiveMemory(const ReplayOptions& options = {})
      : options_(options), most_sites_(options.most_sites), mappings_(*this, options.weight) {}
  LiveMemory(const LiveMemory&) = delete;
  LiveMemory& operator=(const LiveMemory&) = delete;

  void onEvent(const Event& event) override;
  void onBlocks(const BlockEvents& events) override;
  void onEpoch(const EpochPayload& epoch) override;
  void onStreamEnd(uint32_t stream) override;
  void onStackResidency(const StackResidency& stack) override;
  void onMappingLook(std::span<const MappingResidency> look) override;
  void onMemory(const MemoryPayload& row) override;
  void onEnd(const EndPayload& end) override;
  // Puts later allocations into sites that isLeftOut(): the program had no time to free most of
  // them.
  void leaveOutFromHere() { leaves_out_ = true; }
  // Takes what is held at moments; before the first event.
  void follow(Timeline* timeline) { timeline_ = timeline; }
  // After the last event; the totals hold then.
  void finish();

  const EventCounts& counts() const { return counts_; }
  const AllocationSizes& sizes() const { return sizes_; }  // add up to the counts
  const SiteTotals& heap() const { return heap_; }         // block, mapping
  const SiteTotals& beside() const { return beside_; }     // file, shared, stack
  // By site: all that were temporary.
  const std::vector<SiteTotal>& temporary() const { return temporary_; }
  const std::vector<Site>& sites() const { return sites_; }
  bool isLeftOut(uint32_t site) const {
    return site != 0 && std::ranges::find(left_out_sites_, site) != left_out_sites_.end();
  }
  const SharedStacks& stacks() const { return shared_stacks_; }
  const BlockMap& blocks() const { return blocks_; }
  const BlockRoom& blockRoom() const { return block_room_; }  // of those
  const RangeMap& ranges() const { return mappings_.ranges(); }
  // Returns bounds of the peak of heap(), after finish(); valid where mappings count by resident
  // bytes.
  const ResidencyBounds& bounds() const { return mappings_.bounds(); }

 private:
  struct Stream;
  void addNode(const Event& event);
  // Returns the empty stack for an unknown node: a damaged capture may name any number.
  uint32_t sharedNode(uint32_t stream, uint32_t node) const;
  uint32_t siteOfBlock(uint32_t stream_number, Stream& stream, uint32_t node);
  void addBlock(uint32_t stream_number, Stream& stream, const BlockEvent& event);
  void freeBlock(Stream& stream, const BlockEvent& event);
  void restoreBlock(const Event& event);
  bool noteFree(const LiveBlock& block);  // true: it was temporary
  void addStack(const Event& event);
  void removeStack(uint64_t address);
  uint32_t siteOf(const Event& event, AllocationKind kind) override;
  void weigh(uint32_t site, int64_t bytes, int64_t count) override;
  void made(uint32_t site, uint64_t bytes) override;
  uint32_t numberedSite(const Site& site);
  uint32_t newSite(const Site& site);
  void forgetEndedStacks();
  void freeIdleSites();
  bool isIdle(uint32_t site) const;
  uint32_t leftOutSite(AllocationKind kind);
  void changeStack(uint32_t site, int64_t bytes, int64_t count);
  void addToBlocks(const LiveBlock& block);
  void takeFromBlocks(const LiveBlock& block);

  EventCounts counts_;
  AllocationSizes sizes_;
  HookId range_hook_ = HookId::k_mmap;  // of the event that is replayed
  SiteTotals heap_;
  SiteTotals beside_;
  ReplayOptions options_;
  SharedStacks shared_stacks_;
  std::vector<Site> sites_{Site{}};
  std::vector<uint32_t> free_sites_;  // their numbers are used again
  size_t most_sites_;                 // in use; beyond, idle ones are freed
  struct Stream {
    std::vector<uint32_t> nodes;        // of the shared stacks, by the stream's own numbers
    std::vector<uint32_t> block_sites;  // of each node; 0: none yet
    LiveBlock last_freed = {};          // a realloc may give it back
    bool is_last_temporary = false;
    bool is_ended = false;
    uint32_t ordinal = 0;  // of its last allocation, where something is temporary
  };
  // By number, which a damaged capture may have any of.
  std::unordered_map<uint32_t, Stream> streams_;
  // Streams that have ended and whose nodes are kept: a thread that one of them made may name its
  // stack later. In the order of their ends.
  std::deque<uint32_t> ended_streams_;
  size_t ended_nodes_ = 0;                               // of these
  std::unordered_map<uint64_t, uint32_t> site_numbers_;  // of sites that are not of one's blocks
  BlockMap blocks_;
  BlockRoom block_room_;
  LiveMappings mappings_;
  uint64_t rss_anon_bytes_ = 0;  // the highest since the last look; kUnknown: a row did not have it
  struct ThreadStack {
    uint32_t site;
    uint64_t resident_bytes;  // as the writer last saw it
  };
  std::unordered_map<uint64_t, ThreadStack> stacks_;  // by address
  // What was looked at in the round in which its thread began: the thread's own record comes a
  // little later. By address, until the end of the epoch after.
  struct EarlyLook {
    StackResidency stack;
    uint64_t epoch;
  };
  std::unordered_map<uint64_t, EarlyLook> early_looks_;
  // Blocks that came where another one still was: the free of that one has its thread's order, and
  // may come yet. By address, until the end of the epoch after.
  std::unordered_map<uint64_t, uint64_t> owed_frees_;
  uint64_t epoch_ = 0;
  std::vector<SiteTotal> temporary_;
  Timeline* timeline_ = nullptr;
  bool leaves_out_ = false;
  std::array<uint32_t, kAllocationKinds> left_out_sites_ = {};  // by kind; 0: none yet
};

}  // namespace memdrift
