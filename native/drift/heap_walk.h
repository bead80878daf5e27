// SPDX-License-Identifier: MIT
// Walks the chunks of a frozen heap, from header to header, and sums what each kind has. Takes no
// heap itself and reads no address that is not of an arena; a header that cannot be ends the walk
// of its area.
#pragma once

#include <cstdint>

#include "drift/arena_finder.h"
#include "drift/buffer_finder.h"
#include "drift/chunk_runs.h"
#include "drift/frozen_memory.h"
#include "drift/malloc_layout.h"
#include "drift/thread_caches.h"
#include "drift/walk_result.h"

namespace memdrift {

class HeapWalk {
 public:
  HeapWalk(FrozenMemory& memory, ArenaFinder& finder, WalkResult& result)
      : memory_(memory), finder_(finder), result_(result) {}

  // Fills the arenas' figures; `buffers` looks at what is in use. False: see result.failure.
  bool walk(BufferFinder& buffers);

 private:
  bool markFastChunks(ArenaFigures& arena);
  bool markFastChunk(uint64_t chunk, uint64_t bytes);
  void walkArea(Area& area, ThreadCaches& caches);
  uint64_t walkRun(Area& area, ChunkRuns& runs, ThreadCaches& caches);
  ChunkRuns::Kind kindOf(Area& area, uint64_t chunk, uint64_t bytes);
  uint64_t findFirstChunk(const Area& area, uint64_t from) const;
  bool isRun(const Area& area, uint64_t chunk) const;
  bool closeAtTop(const Area& area, ChunkRuns& runs);
  void sumAreas();

  uint64_t topOf(const Area& area) const;
  ArenaFigures& arenaOf(const Area& area) const { return result_.arenas[area.arena]; }

  FrozenMemory& memory_;
  ArenaFinder& finder_;
  WalkResult& result_;
  BufferFinder* buffers_ = nullptr;
};

}  // namespace memdrift
