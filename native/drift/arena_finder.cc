// SPDX-License-Identifier: MIT
#include "drift/arena_finder.h"

#include <algorithm>

namespace memdrift {

namespace {

uint64_t wordAt(uint64_t at) { return FrozenMemory::wordAt(at); }

// As many as there is room for in the largest memory there is.
constexpr uint64_t kMostChunks = uint64_t{1} << 42;

uint64_t roundUp(uint64_t value, uint64_t unit) { return (value + unit - 1) / unit * unit; }

uint64_t roundDown(uint64_t value, uint64_t unit) { return value / unit * unit; }

}  // namespace

bool ArenaFinder::fail(WalkFailure failure) {
  result_.failure = failure;
  return false;
}

bool ArenaFinder::find(std::span<const AddressRange> data, uint64_t heap_end) {
  areas_ = takePages<Area>(kMostAreas);
  if (!areas_) return fail(WalkFailure::kNoMemory);
  const uint64_t main_state = findMainState(data);
  if (main_state == 0) return fail(WalkFailure::kNoMainArena);
  if (!addMain(main_state, heap_end)) return false;
  for (uint64_t state = wordAt(main_state + state_.next_at); state != main_state;
       state = wordAt(state + state_.next_at))
    if (!addThreadArena(state)) return false;

  return sortAreas() && findScattered(main_state) && sortAreas();
}

bool ArenaFinder::sortAreas() {
  for (; sorted_ < result_.area_count; sorted_++) {
    Area& area = areas_[sorted_];
    if (!memory_.findPages(area.range, area.pages)) return fail(WalkFailure::kNoMaps);
  }
  last_ = nullptr;
  std::sort(areas_, areas_ + sorted_,
            [](const Area& a, const Area& b) { return a.range.start < b.range.start; });
  for (uint32_t i = 0; i < sorted_; i++)
    result_.areas[i] = {areas_[i].range.start, areas_[i].range.end, areas_[i].arena};
  return true;
}

// Its 127 bins are rings: an empty one is linked to itself, which is how the state is recognised
// among other data; the chunk that another one begins with is linked back to it.
bool ArenaFinder::isState(uint64_t at) const {
  const uint64_t system_bytes = wordAt(at + state_.system_bytes_at);
  if (system_bytes > wordAt(at + state_.most_system_bytes_at)) return false;
  unsigned empty = 0;
  for (unsigned i = 0; i < kBins; i++) {
    const uint64_t bin = at + state_.bins_at + i * 2 * kWordBytes;
    const uint64_t as_chunk = bin - kHeaderBytes;
    const uint64_t first = wordAt(bin);
    const uint64_t last = wordAt(bin + kWordBytes);
    if ((first == as_chunk) != (last == as_chunk)) return false;
    if (first == as_chunk) {
      empty++;
      continue;
    }
    const uint64_t back = first + kHeaderBytes + kWordBytes;
    if (first % kChunkAlignment != 0 || !memory_.canRead(back, kWordBytes)) return false;
    if (wordAt(back) != as_chunk) return false;
  }
  return empty > 0;
}

// The front of a library's data is read-only once it is linked, so that only pieces of it are here.
uint64_t ArenaFinder::findMainState(std::span<const AddressRange> data) const {
  for (const AddressRange& range : data) {
    for (const Piece& piece : memory_.pieces()) {
      const AddressRange both = {std::max(range.start, piece.start),
                                 std::min(range.end, piece.end)};
      const uint64_t found = both.start < both.end ? findStateIn(both) : 0;
      if (found != 0) return found;
    }
  }
  return 0;
}

uint64_t ArenaFinder::findStateIn(AddressRange range) const {
  for (uint64_t at = roundUp(range.start, kWordBytes); at + state_.bytes <= range.end;
       at += kWordBytes) {
    const uint64_t next = wordAt(at + state_.next_at);
    if (next % kWordBytes != 0 || next < memory_.pageBytes()) continue;
    if (wordAt(at + state_.system_bytes_at) != 0 && isState(at)) return at;
  }
  return 0;
}

bool ArenaFinder::addArena(uint64_t state) {
  if (result_.arena_count == kMostArenas) return fail(WalkFailure::kTooMany);
  ArenaFigures& arena = result_.arenas[result_.arena_count++];
  arena.address = state;
  arena.is_main = result_.arena_count == 1;
  arena.is_whole = true;
  arena.system_bytes = wordAt(state + state_.system_bytes_at);
  return true;
}

bool ArenaFinder::addArea(const Area& area) {
  if (result_.area_count == kMostAreas) return fail(WalkFailure::kTooMany);
  Area& added = areas_[result_.area_count++];
  added = area;
  added.arena = result_.arena_count - 1;
  return true;
}

bool ArenaFinder::addMain(uint64_t state, uint64_t heap_end) {
  if (!addArena(state)) return false;
  const uint64_t page = memory_.pageBytes();
  const uint64_t start = memory_.heapStart();
  if (start == 0 || start >= heap_end) return true;
  Area area = {};
  area.range = {roundDown(start, page), roundUp(heap_end, page)};
  if (!memory_.canRead(area.range.start, area.range.end - area.range.start)) return true;
  area.first_chunk = roundUp(start, kChunkAlignment);
  area.chunks_end = heap_end;
  area.is_of_brk = true;
  return addArea(area);
}

// Where brk() is blocked by a mapping, the main arena goes on in mappings of its own. V8's memory
// for code is near the program's own, and so may be behind the heap of brk(): one Node in a hundred
// has this. The kernel makes one piece of neighbours, so that each page is looked at.
bool ArenaFinder::findScattered(uint64_t state) {
  const auto flags = static_cast<uint32_t>(wordAt(state) >> (8 * kStateFlagsAt));
  if ((flags & kIsScattered) == 0) return true;
  bool has_room = true;
  for (const Piece& piece : memory_.pieces()) {
    if (!piece.is_anonymous) continue;
    const RunPlace place = {piece.end, wordAt(state + state_.top_at)};
    uint64_t behind = 0;
    const auto look = [&](uint64_t start, uint64_t end) {
      for (uint64_t at = start; at < end; at += memory_.pageBytes()) {
        if (at < behind || areaOf(at, 1)) continue;
        const uint64_t bytes = scatteredBytesAt(at, place);
        if (bytes == 0) continue;
        behind = at + bytes;
        Area area = {};
        area.range = {at, behind};
        area.first_chunk = at;
        area.chunks_end = behind;
        has_room = has_room && addArea(area);
        areas_[result_.area_count - 1].arena = 0;
      }
    };
    if (!memory_.forEachResident({piece.start, piece.end}, look)) return fail(WalkFailure::kNoMaps);
  }
  return has_room;
}

// Such a mapping is of chunks from its first byte to its last one; 0: it is none.
uint64_t ArenaFinder::scatteredBytesAt(uint64_t page, RunPlace place) const {
  const uint64_t first = sizeWord(page);
  if ((first & kChunkFlags) != kBeforeIsInUse) return 0;
  uint64_t end = endOfRun(page, place, kMostChunks);
  if (end == 0) return 0;
  if (end == place.top) end += sizeWord(end) & ~kChunkFlags;
  for (uint64_t i = 0; i < kMostEndHeaders && end + kHeaderBytes <= place.end; i++) {
    if (end % memory_.pageBytes() == 0 || !isEndOfRun(sizeWord(end))) break;
    end += kHeaderBytes;
  }
  return end > page && end <= place.end && end % memory_.pageBytes() == 0 ? end - page : 0;
}

// The state is behind the front of the arena's first piece; its top is in its last one, which the
// others hang on.
bool ArenaFinder::addThreadArena(uint64_t state) {
  if (state % kWordBytes != 0 || !memory_.canRead(state, state_.bytes) || !isState(state))
    return fail(WalkFailure::kBadArenas);
  const uint64_t first_heap = roundDown(state, kMostHeapBytes);
  const uint64_t front_bytes = state - first_heap;
  if (front_bytes != kHeapFrontBytes && front_bytes != kHeapFrontBytes235)
    return fail(WalkFailure::kBadArenas);
  if (!addArena(state)) return false;
  // A list that runs in a circle ends with kTooMany.
  for (uint64_t heap = roundDown(wordAt(state + state_.top_at), kMostHeapBytes);;
       heap = wordAt(heap + kHeapBeforeAt)) {
    if (heap % kMostHeapBytes != 0 || !memory_.canRead(heap, front_bytes) ||
        wordAt(heap + kHeapArenaAt) != state || !addHeap(heap, front_bytes))
      return result_.failure == WalkFailure::kNone ? fail(WalkFailure::kBadArenas) : false;
    if (heap == first_heap) return true;
  }
}

bool ArenaFinder::addHeap(uint64_t heap, uint64_t front_bytes) {
  const uint64_t bytes = wordAt(heap + kHeapBytesAt);
  const uint64_t writable = wordAt(heap + kHeapWritableAt);
  if (bytes % memory_.pageBytes() != 0 || writable % memory_.pageBytes() != 0) return false;
  if (bytes > writable || writable > kMostHeapBytes || !memory_.canRead(heap, bytes)) return false;
  Area area = {};
  // What was writable once and is beyond the end now was given back when it was cut off.
  area.range = {heap, heap + (memory_.canRead(heap, writable) ? writable : bytes)};
  area.first_chunk = heap + front_bytes;
  if (wordAt(heap + kHeapBeforeAt) == 0) area.first_chunk += state_.bytes;
  area.first_chunk = roundUp(area.first_chunk, kChunkAlignment);
  area.chunks_end = heap + bytes;
  return addArea(area);
}

Area* ArenaFinder::areaOf(uint64_t at, uint64_t bytes) {
  if (last_ && last_->pages.covers(at, bytes)) return last_;
  Area* const all_end = areas_ + sorted_;
  Area* area = std::upper_bound(areas_, all_end, at, [](uint64_t address, const Area& one) {
    return address < one.range.end;
  });
  if (area == all_end || !area->pages.covers(at, bytes)) return nullptr;
  last_ = area;
  return area;
}

}  // namespace memdrift
