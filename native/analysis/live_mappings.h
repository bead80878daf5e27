// SPDX-License-Identifier: MIT
// Replays a process's mappings: the site that made each usable, and the bytes of each that count.
#pragma once

#include <cstdint>
#include <span>

#include "analysis/range_map.h"
#include "analysis/residency_bounds.h"
#include "capture/event_decoder.h"
#include "capture/format.h"

namespace memdrift {

// Kinds of allocations. Only the heap's kinds are in totals: other processes can have the same
// pages of files and of shared memory.
enum class AllocationKind : uint8_t { block, mapping, file, shared, stack };
constexpr size_t kAllocationKinds = 5;

constexpr bool isOfHeap(AllocationKind kind) {
  return kind == AllocationKind::block || kind == AllocationKind::mapping;
}

// The bytes of a mapping that count: resident ones, as the writer's looks found them, or all that
// the program may use.
enum class MappingWeight : uint8_t { resident, committed };

// Receives the bytes of mappings that count.
class MappingTotals {
 public:
  virtual uint32_t siteOf(const Event& event, AllocationKind kind) = 0;
  // Changes the bytes that a site holds and its number of mappings.
  virtual void weigh(uint32_t site, int64_t bytes, int64_t count) = 0;
  // `bytes` became usable: they count as allocated, resident or not.
  virtual void made(uint32_t site, uint64_t bytes) = 0;

 protected:
  ~MappingTotals() = default;
};

// A changed range is in this many looks: the reader may learn of the change after the first.
constexpr uint8_t kEnoughLooks = 2;

class LiveMappings {
 public:
  LiveMappings(MappingTotals& totals, MappingWeight weight) : totals_(totals), weight_(weight) {}
  LiveMappings(const LiveMappings&) = delete;
  LiveMappings& operator=(const LiveMappings&) = delete;

  // Takes a record of type map, unmap, protect, advise or remap.
  void onEvent(const Event& event);
  // Takes a look at all mappings. Mappings that are not in it are as they were at the look before.
  // `peak_bytes`: the most that the heap's kinds held since the look before.
  void onLook(std::span<const MappingResidency> look, int64_t peak_bytes);
  // Ends the replay. `rss_anon_bytes`: the highest RssAnon since the last look.
  void finish(int64_t peak_bytes, uint64_t rss_anon_bytes);

  const RangeMap& ranges() const { return ranges_; }
  // Returns the bounds of the peak of the heap's kinds.
  const ResidencyBounds& bounds() const { return bounds_; }

 private:
  void add(const Event& event);
  void protect(const Event& event);
  void advise(const Event& event);
  void move(const Event& event);
  void insert(const Event& event, RangeState state);
  void remove(uint64_t begin, uint64_t end);
  void split(RangeMap::Part first, RangeMap::Part second);
  enum class Pass { losses, gains };
  void spread(const MappingResidency& found, Pass pass);
  void setLooks(bool has_looks, int64_t peak_bytes);
  void account(const RangeState& state, uint64_t bytes, int64_t sign);
  void setBytes(RangeState& state, uint64_t bytes, int64_t count);
  void setCommitted(RangeState& state, uint64_t bytes, bool is_committed);
  void forget(const RangeState& state, uint64_t bytes);
  bool countsResident() const { return weight_ == MappingWeight::resident && has_looks_; }

  MappingTotals& totals_;
  MappingWeight weight_;
  bool has_looks_ = false;  // before the first and after the last look all usable bytes count
  int64_t resident_ = 0;    // of the heap's kinds, as looks found them
  ResidencyBounds bounds_;
  RangeMap ranges_{[this](RangeMap::Part first, RangeMap::Part second) { split(first, second); }};
};

}  // namespace memdrift
