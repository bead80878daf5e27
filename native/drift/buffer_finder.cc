// SPDX-License-Identifier: MIT
#include "drift/buffer_finder.h"

#include <algorithm>

#include "drift/chunk_run.h"
#include "drift/chunk_runs.h"

namespace memdrift {

namespace {

// More than a process is likely to have; what is beyond stays counted as other blocks are.
constexpr uint32_t kMostBuffers = 1 << 22;
constexpr uint32_t kMostStrings = 1 << 20;
constexpr uint64_t kMostLength = uint64_t{1} << 46;

bool isAddress(uint64_t word) { return word >= 4096 && word < (uint64_t{1} << 56); }

// What malloc takes for a request; a rest that is no chunk of its own stays with it.
bool isChunkFor(uint64_t length, uint64_t bytes) {
  const uint64_t needed = std::max(
      (length + kWordBytes + kChunkAlignment - 1) & ~(kChunkAlignment - 1), kLeastChunkBytes);
  return bytes >= needed && bytes - needed < kLeastChunkBytes;
}

}  // namespace

bool BufferFinder::init() {
  found_ = takePages<AddressRange>(kMostBuffers);
  strings_ = takePages<AddressRange>(kMostStrings);
  result_.strings.is_whole = true;
  return found_ != nullptr && strings_ != nullptr;
}

void BufferFinder::lookAt(uint64_t store) {
  const uint64_t start = FrozenMemory::wordAt(store);
  const uint64_t length = FrozenMemory::wordAt(store + 8);
  const uint64_t most_length = FrozenMemory::wordAt(store + 16);
  const uint64_t capacity = FrozenMemory::wordAt(store + 24);
  if (!isAddress(start) || length == 0 || length == start || length > most_length ||
      most_length > kMostLength)
    return;
  // Those that grow, WebAssembly's among them, are mappings of V8's, with room for what they may
  // become.
  const bool is_plain = length == most_length && length == capacity;
  const uint64_t page = memory_.pageBytes();
  const bool is_growing = start % page == 0 && capacity == (most_length + page - 1) / page * page;
  if (!is_plain && !is_growing) return;
  if (count_ < kMostBuffers)
    found_[count_++] = {start, start + length};
  else
    result_.buffers.is_whole = false;
}

void BufferFinder::lookAtString(uint64_t string) {
  const uint64_t isolate = result_.isolate;
  if (isolate == 0) return;
  const uint64_t first = string + kWordBytes;
  const uint64_t at = FrozenMemory::wordAt(first) == isolate ? first : first + kWordBytes;
  if (FrozenMemory::wordAt(at) != isolate) return;
  if (!isAddress(FrozenMemory::wordAt(string))) return;
  addString(at + kWordBytes);
  // Since V8 14 there is one more word; a content that no block was taken for is not counted.
  addString(at + 2 * kWordBytes);
}

void BufferFinder::addString(uint64_t at) {
  const uint64_t start = FrozenMemory::wordAt(at);
  const uint64_t length = FrozenMemory::wordAt(at + kWordBytes);
  if (!isAddress(start)) return;
  if (start % kChunkAlignment != 0 || length == 0 || length > kMostLength) return;
  if (string_count_ < kMostStrings)
    strings_[string_count_++] = {start, start + length};
  else
    result_.strings.is_whole = false;
}

// Two objects for one content are one content: of an addon's, or of memory that was used again.
void BufferFinder::count() {
  std::sort(found_, found_ + count_, [](const AddressRange& a, const AddressRange& b) {
    return a.start < b.start || (a.start == b.start && a.end > b.end);
  });
  for (uint32_t i = 0; i < count_; i++) {
    if (i > 0 && found_[i].start == found_[i - 1].start) continue;
    countOne(found_[i].start, found_[i].end - found_[i].start);
  }
  std::sort(strings_, strings_ + string_count_,
            [](const AddressRange& a, const AddressRange& b) { return a.start < b.start; });
  for (uint32_t i = 0; i < string_count_; i++)
    if (i == 0 || strings_[i].start != strings_[i - 1].start) countString(strings_[i]);
}

// Whether a chunk of `bytes` was taken for this content, whose characters have one byte or two.
bool BufferFinder::isBlockOf(const AddressRange& content, uint64_t bytes, uint64_t& length) const {
  const uint64_t characters = content.end - content.start;
  for (length = characters; length <= 2 * characters; length += characters) {
    if (isChunkFor(length, bytes)) return true;
    const uint64_t page = memory_.pageBytes();
    if (bytes == (length + kHeaderBytes + page - 1) / page * page) return true;
  }
  return false;
}

void BufferFinder::countString(const AddressRange& content) {
  const uint64_t chunk = content.start - kHeaderBytes;
  StringFigures& strings = result_.strings;
  uint64_t length = 0;
  const auto add = [&](uint64_t from, uint64_t to) { strings.blocks.resident_bytes += to - from; };
  if (const Area* const area = finder_.areaOf(chunk, kLeastChunkBytes)) {
    const uint64_t word = sizeWord(chunk);
    const uint64_t bytes = word & ~kChunkFlags;
    if (!isSound(word, area->chunks_end - chunk) || !isBlockOf(content, bytes, length)) return;
    strings.blocks.bytes += bytes;
    add(0, area->pages.residentIn(chunk, chunk + bytes));
  } else {
    const AddressRange* const block = mappedBlockAt(chunk);
    if (!block || !isBlockOf(content, block->end - block->start, length)) return;
    strings.blocks.bytes += block->end - block->start;
    if (!memory_.forEachResident(*block, add)) strings.is_whole = false;
  }
  strings.count++;
  strings.length_bytes += length;
}

// Null: no block that is a mapping begins there.
const AddressRange* BufferFinder::mappedBlockAt(uint64_t chunk) const {
  const AddressRange* const end = result_.blocks + result_.block_count;
  const AddressRange* const block = std::lower_bound(
      static_cast<const AddressRange*>(result_.blocks), end, chunk,
      [](const AddressRange& one, uint64_t address) { return one.start < address; });
  return block == end || block->start != chunk ? nullptr : block;
}

void BufferFinder::countOne(uint64_t start, uint64_t length) {
  if (countInArena(start, length) || countBlock(start, length)) return;
  // Mapped by somebody, or a part of another block, which has its own row.
  if (start % memory_.pageBytes() != 0) return;
  BufferFigures& buffers = result_.buffers;
  if (buffers.elsewhere_count == kMostElsewhere) {
    buffers.is_whole = false;
    return;
  }
  result_.elsewhere[buffers.elsewhere_count++] = {start, start + length};
}

bool BufferFinder::countInArena(uint64_t start, uint64_t length) {
  const uint64_t chunk = start - kHeaderBytes;
  const Area* const area = finder_.areaOf(chunk, length + kHeaderBytes);
  if (!area || start % kChunkAlignment != 0) return false;
  const uint64_t word = sizeWord(chunk);
  const uint64_t bytes = word & ~kChunkFlags;
  if (!isSound(word, area->chunks_end - chunk) || !isChunkFor(length, bytes)) return false;
  ArenaFigures& arena = result_.arenas[area->arena];
  const uint64_t resident_bytes = area->pages.residentIn(chunk, chunk + bytes);
  // As in an arena that could not be walked.
  if (arena.in_use.bytes < arena.buffers.bytes + bytes ||
      arena.in_use.resident_bytes < arena.buffers.resident_bytes + resident_bytes)
    return false;
  arena.buffers.bytes += bytes;
  arena.buffers.resident_bytes += resident_bytes;
  result_.buffers.count++;
  result_.buffers.length_bytes += length;
  return true;
}

bool BufferFinder::countBlock(uint64_t start, uint64_t length) {
  const AddressRange* const block = mappedBlockAt(start - kHeaderBytes);
  if (!block || block->end - start < length) return false;
  BufferFigures& buffers = result_.buffers;
  buffers.in_blocks.bytes += block->end - block->start;
  const auto add = [&](uint64_t from, uint64_t to) {
    buffers.in_blocks.resident_bytes += to - from;
  };
  if (!memory_.forEachResident(*block, add)) buffers.is_whole = false;
  buffers.count++;
  buffers.length_bytes += length;
  return true;
}

}  // namespace memdrift
