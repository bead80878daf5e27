// SPDX-License-Identifier: MIT
#include "drift/thread_caches.h"

namespace memdrift {

namespace {

constexpr uint32_t kMostCandidates = 1 << 17;
// A list is as long as the tunable tcache_count allows; a longer one runs in a circle.
constexpr uint64_t kMostListed = 1 << 16;

}  // namespace

bool ThreadCaches::init() {
  candidates_ = takePages<uint64_t>(kMostCandidates);
  return candidates_ != nullptr;
}

void ThreadCaches::addCandidate(uint64_t chunk) {
  if (count_ < kMostCandidates) candidates_[count_++] = chunk;
}

void ThreadCaches::count(WalkResult& result) {
  for (uint32_t i = 0; i < count_; i++) {
    const uint64_t cache = candidates_[i] + kHeaderBytes;
    if (!isCache(cache)) continue;
    result.thread_caches++;
    countCache(cache, result);
  }
}

uint64_t ThreadCaches::headOf(uint64_t cache, unsigned bin) const {
  const uint64_t lists = cache + version_.cacheBins() * version_.countBytes();
  return FrozenMemory::wordAt(lists + bin * kWordBytes);
}

uint64_t ThreadCaches::countOf(uint64_t cache, unsigned bin) const {
  const uint64_t at = cache + bin * version_.countBytes();
  return version_.countBytes() == 1 ? *reinterpret_cast<const volatile uint8_t*>(at)
                                    : *reinterpret_cast<const volatile uint16_t*>(at);
}

// Other blocks of that size may hold anything, also what a cache left behind that has ended: each
// list must be one of blocks of its size, as long as its count says. One of zeros has nothing to
// tell.
bool ThreadCaches::isCache(uint64_t cache) {
  for (unsigned bin = 0; bin < version_.cacheBins(); bin++)
    if (!isList(cache, bin)) return false;
  return true;
}

bool ThreadCaches::isList(uint64_t cache, unsigned bin) {
  uint64_t length = 0;
  for (uint64_t block = headOf(cache, bin); block != 0; block = afterOf(block)) {
    const uint64_t chunk = block - kHeaderBytes;
    if (block % kChunkAlignment != 0 || ++length > kMostListed) return false;
    if (!finder_.areaOf(chunk, kLeastChunkBytes) || !finder_.areaOf(chunk, sizeOf(block)))
      return false;
    if (bin < kSmallCacheBins && sizeOf(block) != kLeastChunkBytes + bin * kChunkAlignment)
      return false;
  }
  if (!version_.countsBlocks()) return true;
  // A thread may have been in the middle of taking or giving one.
  const uint64_t counted = countOf(cache, bin);
  return length <= counted + 1 && counted <= length + 1;
}

void ThreadCaches::countCache(uint64_t cache, WalkResult& result) {
  for (unsigned bin = 0; bin < version_.cacheBins(); bin++) {
    for (uint64_t block = headOf(cache, bin); block != 0; block = afterOf(block)) {
      const uint64_t chunk = block - kHeaderBytes;
      const Area& area = *finder_.areaOf(chunk, kLeastChunkBytes);
      ArenaFigures& arena = result.arenas[area.arena];
      const uint64_t bytes = sizeOf(block);
      const uint64_t resident_bytes = area.pages.residentIn(chunk, chunk + bytes);
      // A list of an arena that could not be walked: its chunks are in `other`.
      if (arena.in_use.bytes < bytes || arena.in_use.resident_bytes < resident_bytes) continue;
      arena.in_use.bytes -= bytes;
      arena.in_use.resident_bytes -= resident_bytes;
      arena.thread_cache.bytes += bytes;
      arena.thread_cache.resident_bytes += resident_bytes;
    }
  }
}

}  // namespace memdrift
