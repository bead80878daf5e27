// SPDX-License-Identifier: MIT
// Sums chunks as they are met: neighbours of a kind as one, since pages are counted by ranges.
#pragma once

#include <cstdint>

#include "drift/arena_finder.h"
#include "drift/malloc_layout.h"
#include "drift/walk_result.h"

namespace memdrift {

inline void addTo(Part& part, const Area& area, AddressRange range) {
  part.bytes += range.end - range.start;
  part.resident_bytes += area.pages.residentIn(range.start, range.end);
}

class ChunkRuns {
 public:
  enum class Kind : uint8_t { kInUse, kFast, kFree };

  ChunkRuns(const Area& area, ArenaFigures& arena, uint64_t page_bytes)
      : area_(area), arena_(arena), page_bytes_(page_bytes) {}

  // The first chunk after a gap is at `chunk`.
  void begin(uint64_t chunk) {
    from_ = chunk;
    hole_ = 0;
    kind_ = Kind::kInUse;
    pinEnd();
  }

  uint64_t start() const { return from_; }

  // The next one, at `chunk`.
  void add(Kind kind, uint64_t chunk, uint64_t bytes) {
    arena_.chunks++;
    if (kind != kind_) change(kind, chunk);
    if (kind == Kind::kInUse && bytes < kSurelyMappedBytes) pinEnd();
  }
  // No chunk begins at `end`.
  void end(uint64_t end) {
    closeKind(end);
    closeHole(end);
  }

  // The arena's top begins at `top`. Returns where it does once fast chunks are merged: what is
  // free before it then is of it, and not cut out of the middle any more.
  uint64_t endAtTop(uint64_t top) {
    closeKind(top);
    return hole_ != 0 ? hole_ : top;
  }

  // Bytes of holes behind the last small block in use.
  uint64_t endBytes() const { return end_bytes_; }

 private:
  void change(Kind kind, uint64_t chunk) {
    closeKind(chunk);
    if (kind == Kind::kInUse) closeHole(chunk);
    if (kind_ == Kind::kInUse) hole_ = chunk;
    kind_ = kind;
  }

  void pinEnd() {
    arena_.large_hole_bytes += end_large_bytes_;
    end_bytes_ = end_large_bytes_ = 0;
  }

  void closeKind(uint64_t end) {
    Part& part = kind_ == Kind::kInUse  ? arena_.in_use
                 : kind_ == Kind::kFast ? arena_.fast
                                        : arena_.free;
    addTo(part, area_, {from_, end});
    from_ = end;
  }

  // malloc_trim gives back the whole pages of a free chunk that are behind its links.
  void closeHole(uint64_t end) {
    if (hole_ == 0) return;
    const uint64_t first = (hole_ + kTrimKeepsBytes + page_bytes_ - 1) / page_bytes_ * page_bytes_;
    const uint64_t bytes = area_.pages.residentIn(first, end / page_bytes_ * page_bytes_);
    arena_.trim_bytes += bytes;
    end_bytes_ += bytes;
    if (end - hole_ >= kFirstThresholdBytes) end_large_bytes_ += bytes;
    hole_ = 0;
  }

  const Area& area_;
  ArenaFigures& arena_;
  uint64_t page_bytes_;
  uint64_t from_ = 0;
  uint64_t hole_ = 0;  // free and fast chunks, one after the other; 0: none
  Kind kind_ = Kind::kInUse;
  uint64_t end_bytes_ = 0;
  uint64_t end_large_bytes_ = 0;  // the part in holes where a large block may have been
};

}  // namespace memdrift
