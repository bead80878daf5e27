// SPDX-License-Identifier: MIT
// What is resident of this process, by who holds it: what was mapped while it is tracked, malloc,
// threads' stacks, segments of a store.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "analysis/live_memory.h"
#include "capture/chunk_pool.h"
#include "capture/format.h"
#include "proc/maps.h"
#include "tracker/mapping_log.h"

namespace memdrift {

// Of private pages, but for the store's; kUnknown where it cannot be told. Disjoint.
struct ResidentParts {
  uint64_t mapped_bytes = kUnknown;
  uint64_t malloc_bytes = kUnknown;  // of glibc: its heap and arenas, without its large blocks
  uint64_t stack_bytes = kUnknown;   // of threads other than the first
  uint64_t store_bytes = kUnknown;
  uint64_t own_bytes = kUnknown;  // of the tracker; the tables of its stacks as they are made
};

// On the writer's thread only.
class OwnMemory {
 public:
  OwnMemory(MappingLog& log, const ChunkPool& events);
  ~OwnMemory();
  OwnMemory(const OwnMemory&) = delete;
  OwnMemory& operator=(const OwnMemory&) = delete;

  // Looks; a few ms where much is mapped. `changed` gets the stacks of which another part is
  // resident than at the last look.
  ResidentParts look(std::vector<StackResidency>& changed);

 private:
  struct Stack {
    uint64_t end;
    uint64_t resident_bytes;
    bool is_older;
  };

  void keepUp();
  void findOlderStacks();
  uint64_t residentOf(uint64_t begin, uint64_t end);
  uint64_t mappedBytes();
  uint64_t ownBytes();
  uint64_t stackBytes(std::vector<StackResidency>& changed);
  void addMappings(const MappingTable& mappings, ResidentParts& parts);
  bool isArena(const MappingTable& mappings, size_t at) const;

  MappingLog& log_;
  const ChunkPool& events_;
  int pagemap_;
  LiveMemory mapped_;
  std::map<uint64_t, Stack> stacks_;  // by lowest address
  bool failed_ = false;
};

}  // namespace memdrift
