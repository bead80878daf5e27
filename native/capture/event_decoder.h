// SPDX-License-Identifier: MIT
// Bytes of a thread's stream back to events.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "capture/event_encoder.h"
#include "capture/format.h"
#include "capture/hook_ids.h"

namespace memdrift {

// One record. Fields that its type does not have are 0.
struct Event {
  EventType type = EventType::alloc;
  HookId hook = HookId::k_malloc;  // alloc, free
  bool is_file = false;            // map
  uint32_t stream = 0;
  uint32_t node = 0;    // alloc, map, remap: the stack; node: its own number
  uint32_t parent = 0;  // node
  uint32_t protection = 0;
  uint32_t flags = 0;
  uint32_t advice = 0;
  uint64_t address = 0;
  uint64_t bytes = 0;
  uint64_t old_address = 0;  // remap
  uint64_t old_bytes = 0;
  uint32_t code = 0;   // node: 0: native
  uint64_t place = 0;  // node: offset in the code, or address
  // Of the stream: the epoch that the record was made in. Of an epoch record: the new one.
  uint64_t epoch = 0;
  // stack: of whom made the thread
  uint32_t maker_stream = 0;
  uint32_t maker_node = 0;
  uint64_t count = 0;   // lost: how many records were dropped before the next one
  uint64_t weight = 0;  // weight and the alloc after it: bytes that it stands for; else `bytes`

  bool operator==(const Event&) const = default;
};

// A block that was allocated or freed, which nearly all records are of.
struct BlockEvent {
  uint64_t address;
  uint64_t bytes;   // of a free 0
  uint64_t weight;  // bytes that the allocation stands for
  uint32_t node;
  HookId hook;
  bool is_free;
};

class EventDecoder {
 public:
  explicit EventDecoder(uint32_t stream) : stream_(stream) {}

  // Reads the record at `at`, and moves `at` behind it. Null, or what is wrong with it: then
  // `at` has not moved, `event` is of no use, and nothing more of the stream can be read.
  const char* next(const uint8_t*& at, const uint8_t* end, Event& event) noexcept;

  // Reads the records of blocks at `at`, as many as there is room for, and moves `at` behind them.
  // Returns how many: it stops before a record of another type, or one that next() would find
  // wrong.
  size_t blocks(const uint8_t*& at, const uint8_t* end, std::span<BlockEvent> to) noexcept;

  // The epoch that the record at `at` is made in, or opens.
  uint64_t epochAt(const uint8_t* at, const uint8_t* end) const noexcept;
  uint64_t epoch() const noexcept { return state_.epoch; }
  uint32_t stream() const noexcept { return stream_; }

 private:
  bool takeBlock(VarintReader& from, uint8_t tag, BlockEvent& block) noexcept;
  const char* takeBody(VarintReader& from, unsigned high, Event& event) noexcept;
  const char* takeMapping(VarintReader& from, unsigned high, Event& event) noexcept;
  const char* takeNode(VarintReader& from, unsigned high, Event& event) noexcept;
  void takeStack(VarintReader& from, Event& event) noexcept;
  void takeRange(VarintReader& from, Event& event) noexcept;

  StreamState state_;
  uint64_t weight_ = 0;
  uint32_t stream_;
};

}  // namespace memdrift
