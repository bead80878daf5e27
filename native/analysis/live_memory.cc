// SPDX-License-Identifier: MIT
#include "analysis/live_memory.h"

#include <sys/mman.h>

#include <algorithm>

namespace memdrift {

namespace {

// That makes pages usable. A capture does not say whether mmap was called mmap64.
HookId hookOfRange(EventType type) {
  if (type == EventType::protect) return HookId::k_mprotect;
  return type == EventType::remap ? HookId::k_mremap : HookId::k_mmap;
}

constexpr uint64_t kPageMask = 4095;
uint64_t pageUp(uint64_t bytes) { return (bytes + kPageMask) & ~kPageMask; }
// A block that glibc maps by itself begins behind the two words at the mapping's start. No smaller
// one is mapped, unless the program has set M_MMAP_THRESHOLD.
constexpr uint64_t kLeastMapped = 128 << 10;
constexpr uint64_t kBlockHead = 16;
bool isMapped(const LiveBlock& block) {
  return block.bytes >= kLeastMapped && (block.address & kPageMask) == kBlockHead;
}

uint64_t& roomOf(BlockRoom& room, const LiveBlock& block) {
  return isMapped(block) ? room.mapped_bytes : room.heap_bytes;
}

// With the word before a block, in steps of 16, 32 at least.
uint64_t roomBytes(const LiveBlock& block) {
  if (isMapped(block)) return pageUp(block.bytes + kBlockHead);
  return std::max<uint64_t>((block.bytes + 8 + 15) & ~uint64_t{15}, 32);
}

}  // namespace

void LiveMemory::onEvent(const Event& event) {
  switch (event.type) {
    case EventType::node:
      return addNode(event);
    case EventType::lost:
      counts_.lost_records += event.count;
      return;
    case EventType::epoch:
    case EventType::weight:
    case EventType::free_recent:
      return;
    default:
      break;
  }
  if (event.type == EventType::alloc || event.type == EventType::free) {
    const BlockEvent block = {event.address, event.bytes, event.weight,
                              event.node,    event.hook,  event.type == EventType::free};
    return onBlocks({event.stream, event.epoch, {&block, 1}});
  }
  counts_.events++;
  range_hook_ = hookOfRange(event.type);
  switch (event.type) {
    case EventType::restore:
      return restoreBlock(event);
    case EventType::stack:
      return addStack(event);
    case EventType::stack_end:
      return removeStack(event.address);
    default:
      return mappings_.onEvent(event);
  }
}

void LiveMemory::onBlocks(const BlockEvents& events) {
  // Blocks are all over memory, and so are their places here: they are fetched some events ahead.
  constexpr size_t kAhead = 8;
  Stream& stream = streams_[events.stream];
  const std::span<const BlockEvent> blocks = events.blocks;
  counts_.events += blocks.size();
  for (size_t i = 0; i < std::min(kAhead, blocks.size()); i++) blocks_.fetch(blocks[i].address);
  for (size_t i = 0; i < blocks.size(); i++) {
    if (i + kAhead < blocks.size()) blocks_.fetch(blocks[i + kAhead].address);
    if (blocks[i].is_free)
      freeBlock(stream, blocks[i]);
    else
      addBlock(events.stream, stream, blocks[i]);
  }
}

void LiveMemory::onEpoch(const EpochPayload& epoch) {
  std::erase_if(owed_frees_, [&](const auto& owed) { return owed.second < epoch_; });
  std::erase_if(early_looks_, [&](const auto& early) { return early.second.epoch < epoch_; });
  epoch_ = epoch.number;
  if (sites_.size() - free_sites_.size() > most_sites_) freeIdleSites();
}

void LiveMemory::finish() {
  mappings_.finish(heap_.takeRecentPeak(), rss_anon_bytes_);
  heap_.finish();
  beside_.followPeak(heap_.peakNumber());
  beside_.finish();
}

void LiveMemory::addNode(const Event& event) {
  auto& nodes = streams_[event.stream].nodes;
  if (nodes.empty()) nodes.push_back(0);
  const uint32_t parent = event.parent < nodes.size() ? nodes[event.parent] : 0;
  nodes.push_back(shared_stacks_.add({event.place, event.code, parent}));
}

uint32_t LiveMemory::sharedNode(uint32_t stream, uint32_t node) const {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || node >= found->second.nodes.size()) return 0;
  return found->second.nodes[node];
}

uint32_t LiveMemory::siteOf(const Event& event, AllocationKind kind) {
  if (leaves_out_) return leftOutSite(kind);
  return numberedSite({event.stream, sharedNode(event.stream, event.node), kind});
}

uint32_t LiveMemory::numberedSite(const Site& site) {
  static_assert(kAllocationKinds <= 8);
  const uint32_t stream = options_.joins_threads ? 0 : site.stream;
  const uint64_t key = static_cast<uint64_t>(stream) << 35 | static_cast<uint64_t>(site.node) << 3 |
                       static_cast<uint64_t>(site.kind);
  uint32_t& number = site_numbers_[key];
  if (number == 0) number = newSite({stream, site.node, site.kind});
  return number;
}

uint32_t LiveMemory::newSite(const Site& site) {
  if (free_sites_.empty()) {
    sites_.push_back(site);
    return static_cast<uint32_t>(sites_.size() - 1);
  }
  const uint32_t number = free_sites_.back();
  free_sites_.pop_back();
  sites_[number] = site;
  return number;
}

uint32_t LiveMemory::leftOutSite(AllocationKind kind) {
  uint32_t& site = left_out_sites_[static_cast<size_t>(kind)];
  if (site == 0) site = newSite({0, 0, kind});
  return site;
}

void LiveMemory::weigh(uint32_t site, int64_t bytes, int64_t count) {
  if (isOfHeap(sites_[site].kind)) {
    if (timeline_) timeline_->beforeChange(heap_);
    heap_.weigh(site, bytes, count);
  } else {
    beside_.followPeak(heap_.peakNumber());
    beside_.weigh(site, bytes, count);
  }
}

void LiveMemory::made(uint32_t site, uint64_t bytes) {
  if (!isOfHeap(sites_[site].kind)) return beside_.made(site, bytes);
  heap_.made(site, bytes);
  counts_.total_bytes += bytes;
  sizes_.add(range_hook_, bytes, bytes);
}

void LiveMemory::changeStack(uint32_t site, int64_t bytes, int64_t count) {
  beside_.followPeak(heap_.peakNumber());
  beside_.change(site, bytes, count);
}

void LiveMemory::onMappingLook(std::span<const MappingResidency> look) {
  mappings_.onLook(look, heap_.takeRecentPeak());
  rss_anon_bytes_ = 0;
}

// The writer looks a last time before it closes the capture.
void LiveMemory::onEnd(const EndPayload& end) {
  if (end.reason == static_cast<uint32_t>(EndReason::closed)) rss_anon_bytes_ = 0;
}

void LiveMemory::onMemory(const MemoryPayload& row) {
  rss_anon_bytes_ = std::max(rss_anon_bytes_, row.rss_anon_bytes);
}

void LiveMemory::addToBlocks(const LiveBlock& block) {
  roomOf(block_room_, block) += roomBytes(block);
  if (timeline_) timeline_->beforeChange(heap_);
  heap_.change(block.site, static_cast<int64_t>(block.bytes), 1);
}

void LiveMemory::takeFromBlocks(const LiveBlock& block) {
  roomOf(block_room_, block) -= roomBytes(block);
  if (timeline_) timeline_->beforeChange(heap_);
  heap_.change(block.site, -static_cast<int64_t>(block.bytes), -1);
}

uint32_t LiveMemory::siteOfBlock(uint32_t stream_number, Stream& stream, uint32_t node) {
  if (leaves_out_) return leftOutSite(AllocationKind::block);
  if (node >= stream.block_sites.size())
    stream.block_sites.resize(std::max<size_t>(node + 1, stream.nodes.size()));
  uint32_t& site = stream.block_sites[node];
  if (site != 0) return site;
  // A damaged capture has records of a thread that ended.
  stream.is_ended = false;
  const uint32_t shared = node < stream.nodes.size() ? stream.nodes[node] : 0;
  const Site made = {stream_number, shared, AllocationKind::block};
  // With rows by thread, each stream's own list is enough, and smaller.
  site = options_.joins_threads ? numberedSite(made) : newSite(made);
  return site;
}

void LiveMemory::addBlock(uint32_t stream_number, Stream& stream, const BlockEvent& event) {
  counts_.allocations++;
  sizes_.add(event.hook, event.bytes, event.address == 0 ? 0 : event.weight);
  if (event.address == 0) return;  // no allocator gives it out
  const uint32_t site = siteOfBlock(stream_number, stream, event.node);
  const LiveBlock made = {event.address, event.weight, site, ++stream.ordinal};
  LiveBlock& place = blocks_.placeOf(event.address);
  if (place.address != 0) {
    // Its free was dropped, or is in another thread's order and comes a little later.
    counts_.closed_by_reuse++;
    owed_frees_[event.address] = epoch_;
    takeFromBlocks(place);
    place = made;
  } else {
    blocks_.put(place, made);
  }
  counts_.total_bytes += event.weight;
  addToBlocks(made);
}

void LiveMemory::freeBlock(Stream& stream, const BlockEvent& event) {
  counts_.frees++;
  if (!owed_frees_.empty()) {
    const auto owed = owed_frees_.find(event.address);
    if (owed != owed_frees_.end()) {
      owed_frees_.erase(owed);
      counts_.closed_by_reuse--;
      return;
    }
  }
  LiveBlock* block = blocks_.find(event.address);
  if (!block) {
    counts_.unknown_frees++;
    return;
  }
  const bool is_temporary = options_.temporary_threshold != 0 && noteFree(*block);
  if (event.hook == HookId::k_realloc || event.hook == HookId::k_reallocarray) {
    stream.last_freed = *block;
    stream.is_last_temporary = is_temporary;
  }
  takeFromBlocks(*block);
  blocks_.remove(block);
}

bool LiveMemory::noteFree(const LiveBlock& block) {
  const uint32_t made_since = streams_[sites_[block.site].stream].ordinal - block.ordinal;
  if (made_since > options_.temporary_threshold) return false;
  if (block.site >= temporary_.size()) temporary_.resize(block.site + 1);
  SiteTotal& total = temporary_[block.site];
  total.bytes = wrappingSum(total.bytes, static_cast<int64_t>(block.bytes));
  total.count++;
  return true;
}

// Of a realloc that found no room: the block is what it was, and nothing else has happened.
void LiveMemory::restoreBlock(const Event& event) {
  counts_.frees--;
  const Stream& stream = streams_[event.stream];
  const LiveBlock block = stream.last_freed;
  if (block.address == 0 || block.address != event.address) return;
  LiveBlock& place = blocks_.placeOf(event.address);
  if (place.address != 0) return;
  blocks_.put(place, block);
  const auto bytes = static_cast<int64_t>(block.bytes);
  roomOf(block_room_, block) += roomBytes(block);
  if (timeline_) timeline_->beforeChange(heap_);
  heap_.restore(block.site, bytes);
  if (!stream.is_last_temporary) return;
  SiteTotal& total = temporary_[block.site];
  total.bytes = wrappingDifference(total.bytes, bytes);
  total.count--;
}

// Of a thread's stack what counts are the pages that it has touched; the writer looks now and then.
void LiveMemory::addStack(const Event& event) {
  removeStack(event.address);
  Event maker = event;
  maker.stream = event.maker_stream;
  maker.node = event.maker_node;
  const uint32_t site = siteOf(maker, AllocationKind::stack);
  stacks_[event.address] = {site, 0};
  changeStack(site, 0, 1);
  const auto early = early_looks_.find(event.address);
  if (early == early_looks_.end()) return;
  const StackResidency stack = early->second.stack;
  early_looks_.erase(early);
  onStackResidency(stack);
}

void LiveMemory::onStackResidency(const StackResidency& stack) {
  auto found = stacks_.find(stack.address);
  if (found == stacks_.end() && stack.is_older == 1) {
    Event older;
    older.address = stack.address;
    addStack(older);
    found = stacks_.find(stack.address);
  }
  if (found == stacks_.end()) {
    early_looks_[stack.address] = {stack, epoch_};
    return;
  }
  const auto bytes = static_cast<int64_t>(stack.resident_bytes);
  changeStack(found->second.site, bytes - static_cast<int64_t>(found->second.resident_bytes), 0);
  found->second.resident_bytes = stack.resident_bytes;
}

void LiveMemory::removeStack(uint64_t address) {
  const auto found = stacks_.find(address);
  if (found == stacks_.end()) return;
  changeStack(found->second.site, -static_cast<int64_t>(found->second.resident_bytes), -1);
  stacks_.erase(found);
}

}  // namespace memdrift
