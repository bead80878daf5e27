// SPDX-License-Identifier: MIT
#include "analysis/rss_growth.h"

#include <algorithm>

namespace memdrift {

namespace {

uint64_t rssOf(const MemoryPayload& row) {
  return row.rss_anon_bytes + row.rss_file_bytes + row.rss_shmem_bytes;
}

// Only rows that tell what is resident by whom can be added up.
bool isLook(const MemoryPayload& row) {
  for (const uint64_t bytes :
       {row.rss_anon_bytes, row.rss_file_bytes, row.rss_shmem_bytes, row.mapped_resident_bytes,
        row.malloc_resident_bytes, row.stack_resident_bytes, row.store_resident_bytes})
    if (bytes == kUnknown) return false;
  return true;
}

// A damaged capture may have any numbers: differences wrap, and are wrong then, no more.
int64_t difference(uint64_t now, uint64_t before) { return static_cast<int64_t>(now - before); }

}  // namespace

void RssGrowth::add(const MemoryPayload& row, const BlockRoom& blocks) {
  if (!isLook(row)) return;
  if (!has_first_) {
    first_ = {row, blocks};
    has_first_ = true;
  } else if (!has_highest_ || rssOf(row) > rssOf(highest_.row)) {
    highest_ = {row, blocks};
    has_highest_ = true;
  }
}

// Blocks are taken to be touched. Those that glibc keeps in its heap and arenas are there, which
// leaves the rest of these as freed. Mapped ones, and those of another allocator, which do not fit
// into glibc's heap, have pages that are private and that no other part accounts for.
Growth RssGrowth::highest() const {
  Growth growth;
  if (!has_highest_) return growth;
  const MemoryPayload& from = first_.row;
  const MemoryPayload& to = highest_.row;
  const auto grown = [&](uint64_t MemoryPayload::* field) {
    return difference(to.*field, from.*field);
  };
  growth.time_ns = to.time_ns;
  growth.from_bytes = rssOf(from);
  growth.to_bytes = rssOf(to);
  const int64_t mapped = grown(&MemoryPayload::mapped_resident_bytes);
  const int64_t stacks = grown(&MemoryPayload::stack_resident_bytes);
  const int64_t store = grown(&MemoryPayload::store_resident_bytes);
  const int64_t files = grown(&MemoryPayload::rss_file_bytes);
  const int64_t heap = std::max<int64_t>(grown(&MemoryPayload::malloc_resident_bytes), 0);
  const int64_t own = to.own_bytes == kUnknown ? 0 : grown(&MemoryPayload::own_bytes);
  const int64_t others =
      std::max<int64_t>(grown(&MemoryPayload::rss_anon_bytes) - mapped - stacks - own - heap, 0);
  const auto in_range = [](uint64_t bytes) {
    return static_cast<int64_t>(std::min<uint64_t>(bytes, INT64_MAX / 4));
  };
  const int64_t small = in_range(highest_.blocks.heap_bytes);
  const int64_t in_heap = std::min(small, heap);
  const int64_t outside = small - in_heap + in_range(highest_.blocks.mapped_bytes);
  growth.parts = {
      {"tracked-blocks", in_heap + std::min(outside, others), true},
      {"malloc-freed", heap - in_heap, true},
      {"tracked-mappings", mapped, false},
      {"thread-stacks", stacks, false},
      {"shared-segment", store, false},
      {"file", files, false},
      {"memdrift", own, true},
  };
  growth.rest_bytes = difference(growth.to_bytes, growth.from_bytes);
  for (const GrowthPart& part : growth.parts) growth.rest_bytes -= part.bytes;
  return growth;
}

}  // namespace memdrift
