// SPDX-License-Identifier: MIT
// Which of malloc's blocks are the contents of ArrayBuffers (Buffers are views of them). V8 has an
// object of its own on malloc's heap for each, of all isolates, for as long as the memory lives:
// nobody need be asked, no JavaScript object be held, and no collection run.
#pragma once

#include <cstdint>

#include "drift/arena_finder.h"
#include "drift/frozen_memory.h"
#include "drift/malloc_layout.h"
#include "drift/walk_result.h"

namespace memdrift {

class BufferFinder {
 public:
  BufferFinder(FrozenMemory& memory, ArenaFinder& finder, WalkResult& result)
      : memory_(memory), finder_(finder), result_(result) {}

  bool init();  // false: no memory
  // A chunk in use, with its header.
  void look(uint64_t chunk, uint64_t bytes) {
    if (bytes >= kLeastBytes && bytes <= kMostBytes) lookAt(chunk + kHeaderBytes);
    if (bytes >= kLeastStringBytes && bytes <= kMostStringBytes) lookAtString(chunk + kHeaderBytes);
  }
  // After all chunks and all mapped blocks are known: sums the contents by where they are.
  void count();

 private:
  // v8::internal::BackingStore, which begins with where the content is, its length, the length
  // that it may grow to, and what is there for it. The same in V8 11.3 to 14.6, with 80 bytes.
  static constexpr uint64_t kLeastBytes = 64;
  static constexpr uint64_t kMostBytes = 112;

  // node::ExternString, an object for each string whose content Node keeps outside of V8's heap:
  // its functions, where V8 has its content cached, its isolate, its content and its length.
  static constexpr uint64_t kLeastStringBytes = 48;
  static constexpr uint64_t kMostStringBytes = 80;

  void lookAt(uint64_t store);
  void lookAtString(uint64_t string);
  void addString(uint64_t at);
  void countOne(uint64_t start, uint64_t length);
  bool countInArena(uint64_t start, uint64_t length);
  bool countBlock(uint64_t start, uint64_t length);
  bool isBlockOf(const AddressRange& content, uint64_t bytes, uint64_t& length) const;
  void countString(const AddressRange& content);
  const AddressRange* mappedBlockAt(uint64_t chunk) const;

  FrozenMemory& memory_;
  ArenaFinder& finder_;
  WalkResult& result_;
  AddressRange* found_ = nullptr;
  uint32_t count_ = 0;
  AddressRange* strings_ = nullptr;  // lengths in characters, of one or two bytes
  uint32_t string_count_ = 0;
};

}  // namespace memdrift
