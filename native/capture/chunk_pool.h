// SPDX-License-Identifier: MIT
// Memory that hooks write events to: chunks of one size out of one reservation of address space.
//
// Taking and giving back is lock-free: a hook must not wait for anybody, and least of all for the
// allocator that called it.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memdrift {

inline constexpr size_t kChunkBytes = 256 << 10;

// The beginning of a chunk. The hook's thread writes it, the writer's reads it.
struct Chunk {
  std::atomic<uint32_t> committed;  // bytes of whole records
  std::atomic<uint32_t> next;       // the stream's next chunk; then `committed` is final
  uint8_t padding[56];              // the rest of the line that the hook's thread writes to

  uint8_t* data() noexcept { return reinterpret_cast<uint8_t*>(this + 1); }
};
static_assert(sizeof(Chunk) == 64);

inline constexpr uint32_t kChunkDataBytes = kChunkBytes - sizeof(Chunk);

// Chunks have numbers from 1; 0 is none.
class ChunkPool {
 public:
  // At most `max_bytes` of memory, 2 chunks at least; no page of it is touched before its use.
  // Throws ERR_NO_MEMORY.
  explicit ChunkPool(size_t max_bytes);
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // An empty chunk, or 0 when all are in use. Any thread, in hooks.
  uint32_t take() noexcept;
  // For the next who takes one; the writer's thread only. Beyond the few that stay warm, the
  // chunk's pages go back to the system.
  void giveBack(uint32_t number) noexcept;

  Chunk& operator[](uint32_t number) noexcept {
    return *reinterpret_cast<Chunk*>(memory_ + (number - 1) * kChunkBytes);
  }
  uint32_t count() const noexcept { return count_; }
  const uint8_t* memory() const noexcept { return memory_; }  // of count() chunks

 private:
  // The first free chunk in the low half, in the high half how often it changed: a head that was
  // taken and came back in between differs.
  std::atomic<uint64_t> free_{0};
  std::atomic<uint32_t> fresh_{0};  // chunks that were ever taken
  std::atomic<uint32_t> free_count_{0};
  uint32_t count_;
  std::atomic<uint32_t>* next_free_;  // by chunk; not in the chunks, whose pages may go
  uint8_t* memory_;
};

}  // namespace memdrift
