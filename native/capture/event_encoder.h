// SPDX-License-Identifier: MIT
// How a thread's events become bytes. Runs inside hooks: no heap, no lock, no call out of line.
#pragma once

#include <emmintrin.h>

#include <bit>
#include <cstdint>

#include "capture/format.h"
#include "capture/hook_ids.h"
#include "capture/varint.h"

namespace memdrift {

// `node` is the stack: 0, or the number of a node that this stream has had.
struct AllocEvent {
  HookId hook;
  uint32_t node;
  uint64_t address;
  uint64_t bytes;
};
struct FreeEvent {
  HookId hook;
  uint64_t address;
};
struct MapEvent {
  uint32_t node;
  uint64_t address;
  uint64_t bytes;
  uint32_t protection;
  uint32_t flags;
  bool is_file;
};
struct UnmapEvent {
  uint64_t address;
  uint64_t bytes;
};
struct ProtectEvent {
  uint32_t node;
  uint64_t address;
  uint64_t bytes;
  uint32_t protection;
};
struct AdviseEvent {
  uint64_t address;
  uint64_t bytes;
  uint32_t advice;
};
struct RemapEvent {
  uint32_t node;
  uint64_t old_address;
  uint64_t old_bytes;
  uint64_t address;
  uint64_t bytes;
};
// The stack of the thread whose stream this is; who made the thread is in another stream.
struct StackEvent {
  uint32_t maker_stream;
  uint32_t maker_node;
  uint64_t address;  // its lowest
  uint64_t bytes;
};
// A frame, and the stack that called it.
struct NodeEvent {
  uint32_t parent;
  uint32_t code;   // the number of code that V8 made; 0: native
  uint64_t place;  // in that code the offset in bytes, else an address
};

// Addresses of the last blocks that a stream allocated: most blocks are freed soon after, and are
// then told by their place here.
struct RecentBlocks {
  static constexpr unsigned kCount = 16;

  void put(uint64_t address) noexcept {
    addresses[next] = address;
    low_words[next] = static_cast<uint32_t>(address >> 4);
    next = (next + 1) % kCount;
  }
  // Its place, or kCount.
  unsigned find(uint64_t address) const noexcept {
    const __m128i wanted = _mm_set1_epi32(static_cast<int>(address >> 4));
    unsigned equal = 0;
    for (unsigned i = 0; i < kCount; i += 4) {
      const __m128i four = _mm_load_si128(reinterpret_cast<const __m128i*>(&low_words[i]));
      const __m128 same = _mm_castsi128_ps(_mm_cmpeq_epi32(four, wanted));
      equal |= static_cast<unsigned>(_mm_movemask_ps(same)) << i;
    }
    const auto place = static_cast<unsigned>(std::countr_zero(equal | 1U << kCount));
    return place < kCount && addresses[place] == address ? place : kCount;
  }

  alignas(16) uint32_t low_words[kCount] = {};
  uint64_t addresses[kCount] = {};
  uint32_t next = 0;
};

// What the next record is told relative to. Encoder and decoder keep the same.
struct StreamState {
  RecentBlocks recent;
  uint64_t heap_address = 0;
  uint64_t mapping_address = 0;
  uint64_t pc = 0;
  uint32_t code = 0;
  uint64_t epoch = 0;
  uint32_t event_node = 0;
  uint32_t node_count = 0;
};

// An upper bound of one record: a byte and at most eight numbers.
inline constexpr int kMaxEventBytes = 1 + 8 * kMaxVarintBytes;

namespace encode {

inline uint8_t tag(EventType type, unsigned high = 0) noexcept {
  return static_cast<uint8_t>(static_cast<unsigned>(type) | high << 4);
}

inline uint8_t* putNode(StreamState& state, uint8_t* at, uint32_t node) noexcept {
  const auto distance = static_cast<int64_t>(node) - static_cast<int64_t>(state.event_node);
  state.event_node = node;
  return putVarint(at, zigzag(distance));
}

inline uint8_t* putHeapAddress(StreamState& state, uint8_t* at, uint64_t address) noexcept {
  const uint64_t last = state.heap_address;
  state.heap_address = address;
  return putAddress(at, address, last);
}

inline uint8_t* putRange(StreamState& state, uint8_t* at, const UnmapEvent& range) noexcept {
  at = putAddress(at, range.address, state.mapping_address);
  state.mapping_address = range.address;
  return putVarint(at, range.bytes);
}

inline uint8_t* alloc(StreamState& state, uint8_t* at, const AllocEvent& event) noexcept {
  *at++ = tag(EventType::alloc, static_cast<unsigned>(event.hook));
  at = putNode(state, at, event.node);
  at = putHeapAddress(state, at, event.address);
  state.recent.put(event.address);
  return putVarint(at, event.bytes);
}

inline uint8_t* free(StreamState& state, uint8_t* at, const FreeEvent& event) noexcept {
  const unsigned place = state.recent.find(event.address);
  if (place < RecentBlocks::kCount && event.hook == HookId::k_free) {
    *at++ = tag(EventType::free_recent, place);
    state.heap_address = event.address;
    return at;
  }
  *at++ = tag(EventType::free, static_cast<unsigned>(event.hook));
  return putHeapAddress(state, at, event.address);
}

inline uint8_t* map(StreamState& state, uint8_t* at, const MapEvent& event) noexcept {
  *at++ = tag(EventType::map, event.is_file);
  at = putNode(state, at, event.node);
  at = putRange(state, at, {event.address, event.bytes});
  at = putVarint(at, event.protection);
  return putVarint(at, event.flags);
}

inline uint8_t* unmap(StreamState& state, uint8_t* at, const UnmapEvent& event) noexcept {
  *at++ = tag(EventType::unmap);
  return putRange(state, at, event);
}

inline uint8_t* protect(StreamState& state, uint8_t* at, const ProtectEvent& event) noexcept {
  *at++ = tag(EventType::protect);
  at = putNode(state, at, event.node);
  at = putRange(state, at, {event.address, event.bytes});
  return putVarint(at, event.protection);
}

inline uint8_t* advise(StreamState& state, uint8_t* at, const AdviseEvent& event) noexcept {
  *at++ = tag(EventType::advise);
  at = putRange(state, at, {event.address, event.bytes});
  return putVarint(at, event.advice);
}

inline uint8_t* remap(StreamState& state, uint8_t* at, const RemapEvent& event) noexcept {
  *at++ = tag(EventType::remap);
  at = putNode(state, at, event.node);
  at = putRange(state, at, {event.old_address, event.old_bytes});
  return putRange(state, at, {event.address, event.bytes});
}

inline uint8_t* stack(StreamState& state, uint8_t* at, const StackEvent& event) noexcept {
  *at++ = tag(EventType::stack);
  at = putVarint(at, event.maker_stream);
  at = putVarint(at, event.maker_node);
  return putRange(state, at, {event.address, event.bytes});
}

inline uint8_t* stackEnd(StreamState& state, uint8_t* at, const UnmapEvent& event) noexcept {
  *at++ = tag(EventType::stack_end);
  return putRange(state, at, event);
}

// The node's number is the stream's count of nodes after it.
inline uint8_t* node(StreamState& state, uint8_t* at, const NodeEvent& event) noexcept {
  *at++ = tag(EventType::node, event.code != 0);
  at = putVarint(at, state.node_count - event.parent);
  if (event.code != 0) {
    at = putVarint(at, zigzag(static_cast<int64_t>(event.code) - static_cast<int64_t>(state.code)));
    at = putVarint(at, event.place);
    state.code = event.code;
  } else {
    at = putVarint(at, zigzag(static_cast<int64_t>(event.place - state.pc)));
    state.pc = event.place;
  }
  state.node_count++;
  return at;
}

inline uint8_t* epoch(StreamState& state, uint8_t* at, uint64_t number) noexcept {
  *at++ = tag(EventType::epoch);
  at = putVarint(at, number - state.epoch);
  state.epoch = number;
  return at;
}

inline uint8_t* lost(StreamState&, uint8_t* at, uint64_t count) noexcept {
  *at++ = tag(EventType::lost);
  return putVarint(at, count);
}

inline uint8_t* restore(StreamState& state, uint8_t* at, uint64_t address) noexcept {
  *at++ = tag(EventType::restore);
  return putHeapAddress(state, at, address);
}

inline uint8_t* weight(StreamState&, uint8_t* at, uint64_t bytes) noexcept {
  *at++ = tag(EventType::weight);
  return putVarint(at, bytes);
}

}  // namespace encode

}  // namespace memdrift
