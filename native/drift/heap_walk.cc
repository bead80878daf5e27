// SPDX-License-Identifier: MIT
#include "drift/heap_walk.h"

#include <algorithm>

#include "drift/chunk_run.h"
#include "drift/chunk_runs.h"

namespace memdrift {

namespace {

// How far behind where an area begins, or was interrupted, chunks are looked for: another user of
// sbrk() is rare and takes little.
constexpr uint64_t kMostGapBytes = 1 << 20;
constexpr uint64_t kEnoughChunks = 1000;

uint64_t wordAt(uint64_t at) { return FrozenMemory::wordAt(at); }
uint64_t sizeOf(uint64_t chunk) { return sizeWord(chunk) & ~kChunkFlags; }

}  // namespace

uint64_t HeapWalk::topOf(const Area& area) const {
  return wordAt(arenaOf(area).address + finder_.version().state().top_at);
}

bool HeapWalk::walk(BufferFinder& buffers) {
  buffers_ = &buffers;
  ThreadCaches caches(finder_);
  if (!caches.init()) {
    result_.failure = WalkFailure::kNoMemory;
    return false;
  }
  for (uint32_t i = 0; i < result_.arena_count; i++)
    if (!markFastChunks(result_.arenas[i])) result_.arenas[i].is_whole = false;
  for (Area& area : finder_.areas()) walkArea(area, caches);
  caches.count(result_);
  sumAreas();
  return true;
}

// Chunks in fast bins look in use to their neighbours, so that only their lists tell them.
bool HeapWalk::markFastChunks(ArenaFigures& arena) {
  const MallocVersion version = finder_.version();
  for (unsigned i = 0; i < version.state().fast_bins; i++) {
    const uint64_t bytes = kLeastChunkBytes + i * kChunkAlignment;
    uint64_t chunk = wordAt(arena.address + kFastBinsAt + i * kWordBytes);
    while (chunk != 0) {
      if (!markFastChunk(chunk, bytes)) return false;
      const uint64_t link = chunk + kHeaderBytes;
      chunk = version.link(link, wordAt(link));
    }
  }
  return true;
}

// False: it is not one, or was met before, and the list runs in a circle.
bool HeapWalk::markFastChunk(uint64_t chunk, uint64_t bytes) {
  Area* const area = finder_.areaOf(chunk, bytes);
  if (!area || chunk % kChunkAlignment != 0 || sizeOf(chunk) != bytes) return false;
  const uint64_t area_bytes = area->range.end - area->range.start;
  if (!area->fast_marks) area->fast_marks = takePages<uint64_t>(area_bytes / kChunkAlignment / 64);
  if (!area->fast_marks) return false;
  const uint64_t index = (chunk - area->range.start) / kChunkAlignment;
  uint64_t& marks = area->fast_marks[index / 64];
  const uint64_t mark = uint64_t{1} << (index % 64);
  if ((marks & mark) != 0) return false;
  marks |= mark;
  area->fast_left++;
  return true;
}

// Whether chunks follow each other from `chunk` on, to an end or for longer than other memory could
// look like it.
bool HeapWalk::isRun(const Area& area, uint64_t chunk) const {
  return endOfRun(chunk, {area.chunks_end, topOf(area)}, kEnoughChunks) != 0;
}

uint64_t HeapWalk::findFirstChunk(const Area& area, uint64_t from) const {
  const uint64_t limit = std::min(area.chunks_end, from + kMostGapBytes);
  for (; from + kLeastChunkBytes <= limit; from += kChunkAlignment)
    if (isSound(sizeWord(from), area.chunks_end - from) && isRun(area, from)) return from;
  return 0;
}

void HeapWalk::walkArea(Area& area, ThreadCaches& caches) {
  ArenaFigures& arena = arenaOf(area);
  const uint64_t top = topOf(area);
  ChunkRuns runs(area, arena, memory_.pageBytes());
  uint64_t chunk = area.first_chunk;
  // Only brk() has other users: other areas begin where they begin.
  if (area.is_of_brk && !isRun(area, chunk)) chunk = findFirstChunk(area, chunk);
  bool is_whole = chunk != 0;
  while (chunk != 0) {
    runs.begin(chunk);
    const uint64_t end = walkRun(area, runs, caches);
    if (end == top) {
      is_whole = closeAtTop(area, runs);
      break;
    }
    runs.end(end);
    const bool is_end_of_piece = area.chunks_end - end <= kMostEndHeaders * kHeaderBytes;
    const bool is_gap = !is_end_of_piece && area.is_of_brk && isEndOfRun(sizeWord(end));
    is_whole = is_end_of_piece || is_gap;
    chunk = is_gap ? findFirstChunk(area, end + 2 * kHeaderBytes) : 0;
  }
  if (!is_whole || area.fast_left != 0) arena.is_whole = false;
}

// Counts chunks from where `runs` begins to where there is none, or the top.
uint64_t HeapWalk::walkRun(Area& area, ChunkRuns& runs, ThreadCaches& caches) {
  const uint64_t top = topOf(area);
  uint64_t chunk = runs.start();
  while (chunk != top && chunk + kHeaderBytes <= area.chunks_end) {
    const uint64_t word = sizeWord(chunk);
    if (!isSound(word, area.chunks_end - chunk)) break;
    const uint64_t bytes = word & ~kChunkFlags;
    const ChunkRuns::Kind kind = kindOf(area, chunk, bytes);
    if (kind == ChunkRuns::Kind::kInUse) {
      if (bytes == caches.chunkBytes()) caches.addCandidate(chunk);
      buffers_->look(chunk, bytes);
    }
    runs.add(kind, chunk, bytes);
    chunk += bytes;
  }
  return chunk;
}

ChunkRuns::Kind HeapWalk::kindOf(Area& area, uint64_t chunk, uint64_t bytes) {
  const uint64_t next = chunk + bytes;
  if ((sizeWord(next) & kBeforeIsInUse) == 0) {
    // Its size stands at both ends.
    if (wordAt(next) != bytes) arenaOf(area).is_whole = false;
    return ChunkRuns::Kind::kFree;
  }
  if (!area.fast_marks) return ChunkRuns::Kind::kInUse;
  const uint64_t index = (chunk - area.range.start) / kChunkAlignment;
  if ((area.fast_marks[index / 64] >> (index % 64) & 1) == 0) return ChunkRuns::Kind::kInUse;
  area.fast_left--;
  return ChunkRuns::Kind::kFast;
}

// Only the main arena's top is cut off by malloc_trim, and none of the main arena if brk() was
// moved by another user since; a least chunk and a byte stay. The top begins where fast chunks
// before it do, once these are merged.
bool HeapWalk::closeAtTop(const Area& area, ChunkRuns& runs) {
  ArenaFigures& arena = arenaOf(area);
  const uint64_t top = topOf(area);
  const uint64_t merged_top = runs.endAtTop(top);
  if (top + kLeastChunkBytes > area.chunks_end) return false;
  const uint64_t end = top + sizeOf(top);
  if (end > area.chunks_end || end < top + kLeastChunkBytes) return false;
  addTo(arena.top, area, {top, end});
  const uint64_t keep = kLeastChunkBytes + 1;
  const bool is_cut = !arena.is_main || (area.is_of_brk && end == area.chunks_end);
  if (!is_cut || end - merged_top <= keep) return true;
  const uint64_t page = memory_.pageBytes();
  const uint64_t cut = end - (end - merged_top - keep) / page * page;
  const uint64_t bytes = area.pages.residentIn((cut + page - 1) / page * page, area.range.end);
  arena.loose_end_bytes += runs.endBytes() + bytes;
  if (arena.is_main) arena.trim_top_bytes = bytes;
  return true;
}

void HeapWalk::sumAreas() {
  for (const Area& area : finder_.areas()) {
    addTo(arenaOf(area).all, area, area.range);
    arenaOf(area).found_bytes += area.chunks_end - area.range.start;
  }
  for (uint32_t i = 0; i < result_.arena_count; i++) {
    ArenaFigures& arena = result_.arenas[i];
    if (arena.found_bytes < arena.system_bytes) arena.is_whole = false;
    arena.other = arena.all;
    for (const Part& part : {arena.in_use, arena.thread_cache, arena.fast, arena.free, arena.top}) {
      arena.other.bytes -= part.bytes;
      arena.other.resident_bytes -= part.resident_bytes;
    }
  }
}

}  // namespace memdrift
