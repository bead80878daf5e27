// SPDX-License-Identifier: MIT
// What is resident of this process, by who holds it: what was mapped while it is tracked, malloc,
// threads' stacks, segments of a store.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/live_mappings.h"
#include "capture/format.h"
#include "proc/maps.h"
#include "proc/pagemap.h"
#include "tracker/mapping_log.h"

namespace memdrift {

// Of private pages, but for the store's; kUnknown where it cannot be told. Disjoint.
struct ResidentParts {
  uint64_t mapped_bytes = kUnknown;
  uint64_t malloc_bytes = kUnknown;  // of glibc: its heap and arenas, without its large blocks
  uint64_t stack_bytes = kUnknown;   // of threads other than the first
  uint64_t store_bytes = kUnknown;
  uint64_t own_bytes = kUnknown;  // of the tracker, as far as it lies in mappings of its own
};

// On the writer's thread only.
class OwnMemory {
 public:
  explicit OwnMemory(MappingLog& log);
  ~OwnMemory();
  OwnMemory(const OwnMemory&) = delete;
  OwnMemory& operator=(const OwnMemory&) = delete;

  struct Look {
    ResidentParts parts;
    // Stacks whose resident bytes changed since the last look.
    std::vector<StackResidency> stacks;
    // Mappings that changed, or whose resident bytes did; valid if `has_mappings`.
    std::vector<MappingResidency> mappings;
    bool has_mappings = false;
  };
  // Looks at all mappings; takes a few ms where much is mapped.
  Look look();
  // Takes the entries that hooks logged, before the log is full.
  void keepUp();

 private:
  struct Stack {
    uint64_t end;
    uint64_t resident_bytes;
    bool is_older;
  };

  // A range of `mapped_` with its resident bytes.
  struct Mapped {
    uint64_t begin;
    uint64_t end;
    const RangeState* state;
    uint64_t present_bytes;
    uint64_t private_bytes;
    bool isOfFile() const;
  };

  void findOlderStacks();
  uint64_t residentOf(uint64_t begin, uint64_t end);
  uint64_t mappedBytes(std::vector<MappingResidency>& changed);
  uint64_t addResident(std::vector<Mapped>& run);
  uint64_t ownBytes();
  uint64_t stackBytes(std::vector<StackResidency>& changed);
  void addMappings(const MappingTable& mappings, ResidentParts& parts);
  bool isArena(const MappingTable& mappings, size_t at) const;

  MappingLog& log_;
  int pagemap_;
  // Discards sums by site, which the writer does not need.
  struct NoTotals final : MappingTotals {
    uint32_t siteOf(const Event&, AllocationKind) override { return 0; }
    void weigh(uint32_t, int64_t, int64_t) override {}
    void made(uint32_t, uint64_t) override {}
  } totals_;
  // The mappings as a reader of the capture has them, so that a look writes only differences.
  LiveMappings mapped_{totals_, MappingWeight::resident};
  std::vector<PageRange> pages_;      // of the last scan
  std::map<uint64_t, Stack> stacks_;  // by lowest address
  uint8_t full_looks_ = 0;            // remaining looks that write every mapping
  bool failed_ = false;
};

}  // namespace memdrift
