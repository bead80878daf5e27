// SPDX-License-Identifier: MIT
// Where hooks leave what they saw: one stream of bytes per thread, which only that thread writes
// and only the capture's writer reads.
//
// Records of one thread are in order. Across threads the order is that of epochs: a thread begins a
// new one when it finds that another thread has had the turn since. Two threads that take turns,
// by a lock or otherwise, are so put in order, while one alone only loads a word. Threads that run
// at the same time do not pass the turn more often than every few microseconds, or they would do
// nothing else: that is how far their records can be out of order.
//
// A record is written whole or not at all. Hooks take no heap, no lock and make no system call, but
// for the wake-up of the writer when a chunk is full. When all chunks are, records are dropped and
// counted, and the next one that fits comes after a record that says how many.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "capture/chunk_pool.h"
#include "capture/event_encoder.h"

namespace memdrift {

class StreamSet;

class alignas(64) ThreadStream {
 public:
  // Each false when the record was dropped.
  bool alloc(const AllocEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::alloc(state_, at, event); });
  }
  // An allocation that stands for `weight` bytes of allocations which were not recorded.
  bool allocSample(const AllocEvent& event, uint64_t weight) noexcept {
    return append([&](uint8_t* at) {
      return encode::alloc(state_, encode::weight(state_, at, weight), event);
    });
  }
  bool free(const FreeEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::free(state_, at, event); });
  }
  // The block that this thread freed last is there after all: a realloc that failed.
  bool restore(uint64_t address) noexcept {
    return append([&](uint8_t* at) { return encode::restore(state_, at, address); });
  }
  bool map(const MapEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::map(state_, at, event); });
  }
  bool unmap(const UnmapEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::unmap(state_, at, event); });
  }
  bool protect(const ProtectEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::protect(state_, at, event); });
  }
  bool advise(const AdviseEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::advise(state_, at, event); });
  }
  bool remap(const RemapEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::remap(state_, at, event); });
  }
  bool stack(const StackEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::stack(state_, at, event); });
  }
  bool stackEnd(const UnmapEvent& event) noexcept {
    return append([&](uint8_t* at) { return encode::stackEnd(state_, at, event); });
  }
  // The new node's number; 0 when it was dropped: the stack may not be named then.
  uint32_t node(const NodeEvent& event) noexcept {
    const bool is_there = append([&](uint8_t* at) { return encode::node(state_, at, event); });
    return is_there ? state_.node_count : 0;
  }

  // True if the block at `address` is one of the last few that were recorded here. Of the thread.
  bool hasRecent(uint64_t address) const noexcept {
    return state_.recent.find(address) < RecentBlocks::kCount;
  }

  // The next record is of a new epoch, however short ago the last one began. Of the thread.
  void endTurn() noexcept { turned_at_ = 0; }

  uint32_t index() const noexcept { return index_; }
  uint32_t nodeCount() const noexcept { return state_.node_count; }
  uint64_t dropped() const noexcept { return dropped_.load(std::memory_order_relaxed); }

 private:
  friend class StreamSet;

  // What one append may write: a record, its weight, and the epoch and the loss before it.
  static constexpr size_t kRoom = kMaxEventBytes + 3 * (1 + kMaxVarintBytes);
  static_assert(kRoom < dataBytes(0));

  enum State : uint32_t { kFree, kOpening, kOpen, kEnded };

  template <typename Encode>
  bool append(Encode&& encode_record) noexcept {
    if (turn_->load(std::memory_order_relaxed) != index_) [[unlikely]]
      takeTurn();
    if (static_cast<size_t>(end_ - at_) < kRoom) [[unlikely]] {
      if (!refill()) return false;
    }
    uint8_t* at = at_;
    if (epoch_ != state_.epoch) [[unlikely]]
      at = encode::epoch(state_, at, epoch_);
    at = encode_record(at);
    at_ = at;
    // Release: the writer that sees the count sees the bytes.
    chunk_->committed.store(static_cast<uint32_t>(at - chunk_->data()), std::memory_order_release);
    return true;
  }
  bool refill() noexcept;
  uint32_t nextSize() const noexcept;
  void takeTurn() noexcept;
  void begin(StreamSet& set, uint32_t index, uint32_t tid) noexcept;

  // Of the thread.
  uint8_t* at_;
  uint8_t* end_;
  Chunk* chunk_;
  const std::atomic<uint32_t>* turn_;
  uint64_t epoch_;      // that the next record is made in
  uint64_t turned_at_;  // by the processor's clock
  StreamState state_;
  uint64_t untold_;      // dropped since the last record
  uint32_t chunk_size_;  // of kChunkBytes
  StreamSet* set_;
  uint32_t index_;
  uint32_t tid_;
  std::atomic<uint64_t> dropped_;
  std::atomic<uint32_t> first_;  // the stream's first chunk

  // Of the writer, but for the state.
  alignas(64) std::atomic<uint32_t> use_;
  uint32_t reading_;  // number of the chunk that it reads
  uint32_t taken_;    // bytes of it that it has
  bool announced_;
};

struct StreamInfo {
  uint32_t index;
  uint32_t tid;
};

// What the writer makes of streams.
class StreamSink {
 public:
  virtual ~StreamSink() = default;
  virtual void started(const StreamInfo& stream) = 0;
  virtual void events(const StreamInfo& stream, const uint8_t* data, size_t bytes) = 0;
  virtual void ended(const StreamInfo& stream) = 0;
};

struct StreamLimits {
  size_t max_bytes = 64 << 20;  // of memory for events
  uint32_t max_threads = 8192;  // at a time
};

// The streams of one capture.
class StreamSet {
 public:
  // Throws ERR_NO_MEMORY.
  explicit StreamSet(const StreamLimits& limits = {});
  ~StreamSet();
  StreamSet(const StreamSet&) = delete;
  StreamSet& operator=(const StreamSet&) = delete;

  // A stream for the calling thread, null when there are too many or the capture has stopped. In
  // hooks. From close() on the thread may not use it.
  ThreadStream* open(uint32_t tid) noexcept;
  void close(ThreadStream* stream) noexcept {
    stream->use_.store(ThreadStream::kEnded, std::memory_order_release);
  }
  // A record of a thread that got no stream.
  void countDrop() noexcept { dropped_.fetch_add(1, std::memory_order_relaxed); }

  // The writer's side.
  // Records that are made from now on are of later epochs than the one returned, but for those of
  // a thread that began an epoch a moment ago.
  uint64_t raiseEpoch() noexcept {
    const uint64_t epoch = epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
    turn_.store(0, std::memory_order_seq_cst);
    return epoch;
  }
  void drain(StreamSink& sink);
  // Returns after `ms`: false; or when a chunk is full or wake() was called: true.
  bool wait(uint32_t ms) noexcept;
  void wake() noexcept;
  // From now on hooks drop what does not fit into the chunks that they have.
  void discard() noexcept { discards_.store(true, std::memory_order_relaxed); }

  // Where events are kept: address space, of which what is in use is resident.
  const ChunkPool& pool() const noexcept { return pool_; }
  uint64_t dropped() const noexcept;
  uint32_t streamCount() const noexcept { return opened_.load(std::memory_order_relaxed); }

 private:
  friend class ThreadStream;

  bool claim(ThreadStream& stream) noexcept;
  void drainOne(ThreadStream& stream, StreamSink& sink);
  void end(ThreadStream& stream, StreamSink& sink);

  ChunkPool pool_;
  ThreadStream* streams_;
  uint32_t max_threads_;
  std::atomic<uint32_t> used_{0};    // no stream from here on was ever opened
  std::atomic<uint32_t> opened_{0};  // numbers the streams
  std::atomic<uint32_t> open_count_{0};
  std::atomic<uint32_t> hint_{0};     // where a free one may be
  std::atomic<uint64_t> dropped_{0};  // of no stream, or of streams that have ended
  std::atomic<bool> discards_{false};
  alignas(64) std::atomic<uint32_t> turn_{0};  // whose; hooks load it at every record
  alignas(64) std::atomic<uint64_t> epoch_{1};
  alignas(64) std::atomic<uint32_t> wake_{0};
};

}  // namespace memdrift
