// SPDX-License-Identifier: MIT
// What the child that walks the heap tells its parent, in memory that both have.
#pragma once

#include <atomic>
#include <cstdint>

#include "proc/pagemap.h"

namespace memdrift {

// Of a kind: its bytes, and how many of them are in resident pages. A page that several kinds share
// counts for each with the bytes that it has there, so that kinds add up to what is resident.
struct Part {
  uint64_t bytes = 0;
  uint64_t resident_bytes = 0;
};

// An arena of malloc. `in_use` to `other` are disjoint and all there is; what is in whole pages
// that could be given back is beside them.
struct ArenaFigures {
  uint64_t address;  // of its state
  bool is_main;
  bool is_whole;          // false: a chunk was not as it has to be; what is behind it is in `other`
  uint64_t system_bytes;  // as the arena counts what it has from the kernel
  uint64_t found_bytes;   // of that, where it was found; fewer: it is not whole
  uint64_t chunks;        // met, of all kinds
  Part all;
  Part in_use;        // with the headers of its chunks
  Part buffers;       // of that: contents of ArrayBuffers
  Part thread_cache;  // freed, kept in a thread's cache: nobody else gets it, no trim returns it
  Part fast;          // freed, in bins that are merged with their neighbours at a trim
  Part free;
  Part top;             // free as well, behind the last chunk
  Part other;           // the arena's own state, memory of others between, what could not be walked
  uint64_t trim_bytes;  // resident whole pages in free chunks, after the merge of `fast`
  uint64_t trim_top_bytes;  // and in the top that malloc_trim(0) cuts off
  // Resident whole pages that are free behind the last small block in use: with thresholds that
  // stay at their first values, nothing else could be there, and malloc would cut them off.
  uint64_t loose_end_bytes;
  // The same for large free chunks before it, which may have held large or small blocks.
  uint64_t large_hole_bytes;
};

inline constexpr uint32_t kMostArenas = 8192;
inline constexpr uint32_t kMostAreas = 65536;
inline constexpr uint32_t kMostBlocks = 65536 + 1024;

inline constexpr uint32_t kMostElsewhere = 16384;

struct AreaRecord {
  uint64_t start, end;
  uint32_t arena;  // of `arenas`
};

enum class WalkPhase : uint32_t { kStarted, kFailed, kWalked, kChecked };

enum class WalkFailure : uint32_t {
  kNone,
  kNoMaps,       // /proc/self/maps or the page map
  kNoMemory,     // for the child's own tables
  kNoMainArena,  // nothing looks like its state
  kBadArenas,    // the arenas' list leads somewhere else
  kTooMany,      // arenas or pieces of them
};

// As glibc counts, of the same frozen heap; all arenas together.
struct OwnFigures {
  bool is_known;
  bool is_modulo_32_bits;  // mallinfo() before glibc 2.33
  uint64_t system_bytes, free_bytes, fast_bytes, mapped_bytes, mapped_blocks;
};

// Contents of ArrayBuffers, of all isolates.
struct BufferFigures {
  bool is_whole;             // false: there are more
  uint64_t count;            // that are blocks of malloc's
  uint64_t length_bytes;     // of those, as JavaScript has them
  Part in_blocks;            // that are mappings of their own; what is in arenas is with them
  uint32_t elsewhere_count;  // in no memory of malloc's
};

// Contents of strings outside of V8's heap, of the isolate whose thread asked, as Node makes them.
struct StringFigures {
  bool is_whole;  // false: there are more
  uint64_t count;
  uint64_t length_bytes;
  Part blocks;
};

// A mapping of zeros is one that has not begun.
struct WalkResult {
  std::atomic<WalkPhase> phase;
  WalkFailure failure;
  int error_number;
  uint32_t arena_count, area_count, block_count;
  uint32_t thread_caches;  // found
  bool knows_zero_pages;   // false: before Linux 6.7
  uint64_t block_bytes;    // of blocks that are mappings, as far as they were found
  uint64_t block_resident_bytes;
  OwnFigures own;
  BufferFigures buffers;
  uint64_t isolate;  // set by the parent; 0: strings are not looked for
  StringFigures strings;
  ArenaFigures arenas[kMostArenas];
  AreaRecord areas[kMostAreas];
  AddressRange blocks[kMostBlocks];  // by address
  AddressRange elsewhere[kMostElsewhere];
};

}  // namespace memdrift
