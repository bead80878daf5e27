// SPDX-License-Identifier: MIT
// Chunks that follow each other, as far as their headers can say.
#pragma once

#include <cstdint>

#include "drift/frozen_memory.h"
#include "drift/malloc_layout.h"

namespace memdrift {

inline uint64_t sizeWord(uint64_t chunk) { return FrozenMemory::wordAt(chunk + kWordBytes); }

// `word` has a chunk's size and flags; `room` is what there is from its beginning on.
inline bool isSound(uint64_t word, uint64_t room) {
  const uint64_t bytes = word & ~kChunkFlags;
  return bytes >= kLeastChunkBytes && bytes % kChunkAlignment == 0 && (word & kIsMapped) == 0 &&
         bytes + kHeaderBytes <= room;
}

// One of the headers without content that stand before memory of somebody else: two, and one more
// where the top that was there before was a small one.
inline constexpr uint64_t kMostEndHeaders = 3;
inline bool isEndOfRun(uint64_t word) { return (word & ~kBeforeIsInUse) == kHeaderBytes; }

// Where chunks are looked for: none goes beyond `end`, and the last one may be the arena's top.
struct RunPlace {
  uint64_t end, top;
};

// Where the chunks from `chunk` on end, at the top or at an end of a run; after `most` chunks,
// where the next one is. 0: they do not follow each other.
inline uint64_t endOfRun(uint64_t chunk, RunPlace place, uint64_t most) {
  for (uint64_t i = 0; i < most && chunk != place.top; i++) {
    if (chunk + kHeaderBytes > place.end) return 0;
    const uint64_t word = sizeWord(chunk);
    if (isEndOfRun(word)) return chunk;
    if (!isSound(word, place.end - chunk)) return 0;
    chunk += word & ~kChunkFlags;
  }
  return chunk;
}

}  // namespace memdrift
