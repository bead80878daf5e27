// SPDX-License-Identifier: MIT
// Memory that hooks write events to: chunks out of one reservation of address space.
//
// Taking and giving back is lock-free: a hook must not wait for anybody, and least of all for the
// allocator that called it.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>

namespace memdrift {

// The beginning of a chunk. The hook's thread writes it, the writer's reads it.
struct Chunk {
  std::atomic<uint32_t> committed;  // bytes of whole records
  std::atomic<uint32_t> next;       // the stream's next chunk; then `committed` is final
  uint8_t padding[56];              // the rest of the line that the hook's thread writes to

  uint8_t* data() noexcept { return reinterpret_cast<uint8_t*>(this + 1); }
};
static_assert(sizeof(Chunk) == 64);

// Sizes of chunks: thousands of threads have room for a small one each, and a thread that writes
// much seldom wakes the writer. A larger chunk is eight of the next smaller size.
inline constexpr std::array<uint32_t, 3> kChunkBytes = {4 << 10, 32 << 10, 256 << 10};
inline constexpr uint32_t kParts = 8;
inline constexpr uint32_t kLargestSize = kChunkBytes.size() - 1;
inline constexpr uint32_t kUnitBytes = kChunkBytes.front();
inline constexpr uint32_t kBlockBytes = kChunkBytes.back();
inline constexpr uint32_t kBlockUnits = kBlockBytes / kUnitBytes;

constexpr uint32_t dataBytes(uint32_t size) noexcept {
  return kChunkBytes[size] - static_cast<uint32_t>(sizeof(Chunk));
}

// Chunks have the numbers of their first units, from 1; 0 is none.
class ChunkPool {
 public:
  // Reserves at most `max_bytes` of memory, but at least 2 chunks of the largest size; touches no
  // page before its use. Throws ERR_NO_MEMORY.
  explicit ChunkPool(size_t max_bytes);
  ~ChunkPool();
  ChunkPool(const ChunkPool&) = delete;
  ChunkPool& operator=(const ChunkPool&) = delete;

  // Returns an empty chunk of this size, or of a smaller one when no other is left; 0 when all are
  // in use. Any thread, in hooks.
  uint32_t take(uint32_t size) noexcept;
  // For the next who takes one; the writer's thread only. Beyond the few that stay warm, the
  // chunk's pages go back to the system.
  void giveBack(uint32_t number) noexcept;

  Chunk& operator[](uint32_t number) noexcept {
    return *reinterpret_cast<Chunk*>(memory_ + size_t{number - 1} * kUnitBytes);
  }
  uint32_t sizeOf(uint32_t number) const noexcept {
    return sizes_[number].load(std::memory_order_relaxed);
  }
  // Returns true when a quarter or less is left.
  bool isLow() const noexcept {
    return used_bytes_.load(std::memory_order_relaxed) > bytes() - bytes() / 4;
  }
  size_t bytes() const noexcept { return size_t{block_count_} * kBlockBytes; }
  const uint8_t* memory() const noexcept { return memory_; }  // of bytes()

 private:
  uint32_t pop(uint32_t size) noexcept;
  void push(uint32_t first, uint32_t last, uint32_t size) noexcept;
  uint32_t freshBlock() noexcept;
  uint32_t takeOrSplit(uint32_t size) noexcept;

  // For each size: the first free chunk in the low half, the number of changes in the high half. A
  // head that was taken and came back in between differs.
  std::array<std::atomic<uint64_t>, kChunkBytes.size()> free_{};
  std::atomic<uint32_t> fresh_{0};  // blocks of the largest size that were ever taken
  std::atomic<size_t> used_bytes_{0};
  std::atomic<size_t> warm_bytes_{0};  // of free chunks, at most
  uint32_t block_count_;
  // By number, outside the chunks, whose pages may be released.
  std::atomic<uint32_t>* next_free_;
  std::atomic<uint8_t>* sizes_;
  uint8_t* memory_;
};

}  // namespace memdrift
