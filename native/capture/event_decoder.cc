// SPDX-License-Identifier: MIT
#include "capture/event_decoder.h"

namespace memdrift {

namespace {

constexpr const char* kCut = "a record is cut off or one of its numbers is too large";

}  // namespace

const char* EventDecoder::next(const uint8_t*& at, const uint8_t* end, Event& event) noexcept {
  VarintReader from(at, end);
  const uint8_t tag = from.byte();
  event = {};
  event.type = static_cast<EventType>(tag & 15);
  event.stream = stream_;
  const char* problem = takeBody(from, tag >> 4, event);
  if (!problem && from.failed()) problem = kCut;
  if (!problem && event.node > state_.node_count)
    problem = "a record names a stack that its stream has not had";
  if (problem) return problem;
  event.epoch = state_.epoch;
  if (event.type == EventType::weight) weight_ = event.weight;
  if (event.type == EventType::alloc) {
    event.weight = weight_ != 0 ? weight_ : event.bytes;
    weight_ = 0;
  }
  at = from.at();
  return nullptr;
}

size_t EventDecoder::blocks(const uint8_t*& at, const uint8_t* end,
                            std::span<BlockEvent> to) noexcept {
  size_t count = 0;
  while (count < to.size() && at < end) {
    VarintReader from(at, end);
    // What a record changes that is then found wrong: next() reads it again.
    const uint64_t heap_address = state_.heap_address;
    const uint32_t event_node = state_.event_node;
    if (!takeBlock(from, from.byte(), to[count]) || from.failed()) {
      state_.heap_address = heap_address;
      state_.event_node = event_node;
      break;
    }
    if (!to[count].is_free) state_.recent.put(to[count].address);
    at = from.at();
    count++;
  }
  return count;
}

// False where it is no block's record.
bool EventDecoder::takeBlock(VarintReader& from, uint8_t tag, BlockEvent& block) noexcept {
  const unsigned high = tag >> 4;
  switch (static_cast<EventType>(tag & 15)) {
    case EventType::alloc: {
      const uint64_t node = state_.event_node + static_cast<uint64_t>(from.delta());
      if (high >= kHeapHookCount || node > state_.node_count) return false;
      state_.event_node = static_cast<uint32_t>(node);
      const uint64_t address = state_.heap_address = from.address(state_.heap_address);
      const uint64_t bytes = from.varint();
      block = {address,
               bytes,
               weight_ != 0 ? weight_ : bytes,
               static_cast<uint32_t>(node),
               static_cast<HookId>(high),
               false};
      if (!from.failed()) weight_ = 0;
      return true;
    }
    case EventType::free_recent:
      state_.heap_address = state_.recent.addresses[high];
      block = {state_.heap_address, 0, 0, 0, HookId::k_free, true};
      return true;
    case EventType::free:
      if (high >= kHeapHookCount) return false;
      state_.heap_address = from.address(state_.heap_address);
      block = {state_.heap_address, 0, 0, 0, static_cast<HookId>(high), true};
      return true;
    default:
      return false;
  }
}

uint64_t EventDecoder::epochAt(const uint8_t* at, const uint8_t* end) const noexcept {
  VarintReader from(at, end);
  if (static_cast<EventType>(from.byte() & 15) != EventType::epoch) return state_.epoch;
  return state_.epoch + from.varint();
}

const char* EventDecoder::takeBody(VarintReader& from, unsigned high, Event& event) noexcept {
  constexpr const char* kBadTag = "a record is of no known type";
  const bool is_heap = event.type == EventType::alloc || event.type == EventType::free;
  const bool is_place = event.type == EventType::free_recent;
  const bool has_flag = event.type == EventType::map || event.type == EventType::node;
  if (high >= (is_heap ? kHeapHookCount : is_place ? RecentBlocks::kCount : has_flag ? 2U : 1U))
    return kBadTag;
  if (is_heap) event.hook = static_cast<HookId>(high);
  if (event.type >= EventType::map && event.type <= EventType::remap)
    return takeMapping(from, high, event);
  switch (event.type) {
    case EventType::alloc:
      takeStack(from, event);
      event.address = state_.heap_address = from.address(state_.heap_address);
      event.bytes = from.varint();
      state_.recent.put(event.address);
      return nullptr;
    case EventType::free_recent:
      event.type = EventType::free;
      event.hook = HookId::k_free;
      event.address = state_.heap_address = state_.recent.addresses[high];
      return nullptr;
    case EventType::free:
    case EventType::restore:
      event.address = state_.heap_address = from.address(state_.heap_address);
      return nullptr;
    case EventType::stack:
      event.maker_stream = from.varint32();
      event.maker_node = from.varint32();
      takeRange(from, event);
      return nullptr;
    case EventType::stack_end:
      takeRange(from, event);
      return nullptr;
    case EventType::node:
      return takeNode(from, high, event);
    case EventType::epoch: {
      const uint64_t step = from.varint();
      if (step > UINT64_MAX - state_.epoch) return "the number of an epoch is too large";
      state_.epoch += step;
      return nullptr;
    }
    case EventType::lost:
      event.count = from.varint();
      return nullptr;
    case EventType::weight:
      event.weight = from.varint();
      return nullptr;
    default:
      return kBadTag;
  }
}

const char* EventDecoder::takeMapping(VarintReader& from, unsigned high, Event& event) noexcept {
  switch (event.type) {
    case EventType::map:
      event.is_file = high != 0;
      takeStack(from, event);
      takeRange(from, event);
      event.protection = from.varint32();
      event.flags = from.varint32();
      break;
    case EventType::unmap:
      takeRange(from, event);
      break;
    case EventType::protect:
      takeStack(from, event);
      takeRange(from, event);
      event.protection = from.varint32();
      break;
    case EventType::advise:
      takeRange(from, event);
      event.advice = from.varint32();
      break;
    case EventType::remap:
      takeStack(from, event);
      takeRange(from, event);
      event.old_address = event.address;
      event.old_bytes = event.bytes;
      takeRange(from, event);
      break;
    default:
      break;
  }
  return nullptr;
}

const char* EventDecoder::takeNode(VarintReader& from, unsigned high, Event& event) noexcept {
  const uint64_t distance = from.varint();
  if (distance > state_.node_count) return "a stack has a parent that its stream has not had";
  if (state_.node_count == UINT32_MAX) return "a stream has more stacks than numbers for them";
  event.parent = static_cast<uint32_t>(state_.node_count - distance);
  if (high != 0) {
    const uint64_t code = state_.code + static_cast<uint64_t>(from.delta());
    if (code == 0 || code > UINT32_MAX) return "a frame is in code with an impossible number";
    event.code = state_.code = static_cast<uint32_t>(code);
    event.place = from.varint();
  } else {
    event.place = state_.pc += static_cast<uint64_t>(from.delta());
  }
  event.node = ++state_.node_count;
  return nullptr;
}

void EventDecoder::takeStack(VarintReader& from, Event& event) noexcept {
  const int64_t delta = from.delta();
  // Sums that leave 32 bits name no node; next() sees that they are too large.
  const uint64_t node = state_.event_node + static_cast<uint64_t>(delta);
  event.node = state_.event_node = node <= UINT32_MAX ? static_cast<uint32_t>(node) : from.fail();
}

void EventDecoder::takeRange(VarintReader& from, Event& event) noexcept {
  event.address = state_.mapping_address = from.address(state_.mapping_address);
  event.bytes = from.varint();
}

}  // namespace memdrift
