// SPDX-License-Identifier: MIT
// The arenas of a frozen heap, and the memory that each is made of.
#pragma once

#include <cstdint>
#include <span>

#include "drift/chunk_run.h"
#include "drift/frozen_memory.h"
#include "drift/malloc_layout.h"
#include "drift/walk_result.h"

namespace memdrift {

// A run of memory that an arena takes chunks from: what brk() gave, a mapping that the main arena
// made where brk() was blocked, a piece of 64 MiB of an arena of threads.
struct Area {
  AddressRange range;    // whole pages
  uint64_t first_chunk;  // where chunks begin; of the main arena: may begin
  uint64_t chunks_end;   // no chunk goes beyond
  uint32_t arena;        // of WalkResult::arenas
  bool is_of_brk;
  PageBits pages;
  uint64_t* fast_marks;  // a bit per 16 bytes, set where a chunk of a fast bin begins; null: none
  uint64_t fast_left;    // chunks that are marked and were not met yet
};

class ArenaFinder {
 public:
  ArenaFinder(FrozenMemory& memory, WalkResult& result, MallocVersion version)
      : memory_(memory), result_(result), version_(version) {}

  // Looks for the main arena's state in `data`, then follows the arenas' list; fills
  // result.arenas and result.areas. `heap_end` is what sbrk(0) says. False: see result.failure.
  bool find(std::span<const AddressRange> data, uint64_t heap_end);

  MallocVersion version() const { return version_; }
  // By address.
  std::span<Area> areas() { return {areas_, result_.area_count}; }
  // The one that all of these bytes are in, or null.
  Area* areaOf(uint64_t at, uint64_t bytes);

 private:
  bool isState(uint64_t at) const;
  uint64_t findMainState(std::span<const AddressRange> data) const;
  uint64_t findStateIn(AddressRange range) const;
  bool addMain(uint64_t state, uint64_t heap_end);
  bool addThreadArena(uint64_t state);
  bool findScattered(uint64_t state);
  uint64_t scatteredBytesAt(uint64_t page, RunPlace place) const;
  bool addHeap(uint64_t heap, uint64_t front_bytes);
  bool addArea(const Area& area);
  bool addArena(uint64_t state);
  bool sortAreas();
  bool fail(WalkFailure failure);

  FrozenMemory& memory_;
  WalkResult& result_;
  MallocVersion version_;
  const StateLayout& state_ = version_.state();
  Area* areas_ = nullptr;
  uint32_t sorted_ = 0;   // of them, those that are in order and whose pages are known
  Area* last_ = nullptr;  // where the last address was
};

}  // namespace memdrift
