// SPDX-License-Identifier: MIT
#include "drift/mapped_blocks.h"

#include "drift/malloc_layout.h"

namespace memdrift {

namespace {

// Nothing before it, and whole pages. Blocks of memalign() that begin further in are not found.
uint64_t blockBytesAt(uint64_t page, uint64_t page_bytes, MallocVersion version) {
  const uint64_t word = FrozenMemory::wordAt(page + kWordBytes);
  if (FrozenMemory::wordAt(page) != 0 || (word & kChunkFlags) != kIsMapped) return 0;
  const uint64_t bytes = (word & ~kChunkFlags) + version.mappedFrontBytes();
  return bytes % page_bytes == 0 ? bytes : 0;
}

// Goes through resident ranges by address.
class BlockSearch {
 public:
  BlockSearch(FrozenMemory& memory, ArenaFinder& finder, WalkResult& result)
      : memory_(memory), finder_(finder), result_(result) {}

  void look(uint64_t start, uint64_t end) {
    while (start < end) {
      if (start < block_end_) {
        const uint64_t in_block = end < block_end_ ? end : block_end_;
        result_.block_resident_bytes += in_block - start;
        start = in_block;
        continue;
      }
      // The kernel makes one piece of neighbours, be they an arena's or not.
      if (const Area* area = finder_.areaOf(start, 1)) {
        start = area->range.end;
        continue;
      }
      const uint64_t bytes = blockBytesAt(start, memory_.pageBytes(), finder_.version());
      if (bytes == 0 || !memory_.canRead(start, bytes)) {
        start += memory_.pageBytes();
        continue;
      }
      block_end_ = start + bytes;
      result_.block_bytes += bytes;
      if (result_.block_count < kMostBlocks)
        result_.blocks[result_.block_count++] = {start, block_end_};
    }
  }

 private:
  FrozenMemory& memory_;
  ArenaFinder& finder_;
  WalkResult& result_;
  uint64_t block_end_ = 0;
};

}  // namespace

bool findMappedBlocks(FrozenMemory& memory, ArenaFinder& finder, WalkResult& result) {
  BlockSearch search(memory, finder, result);
  for (const Piece& piece : memory.pieces()) {
    if (!piece.is_anonymous) continue;
    const auto look = [&](uint64_t start, uint64_t end) { search.look(start, end); };
    if (!memory.forEachResident({piece.start, piece.end}, look)) return false;
  }
  return true;
}

}  // namespace memdrift
