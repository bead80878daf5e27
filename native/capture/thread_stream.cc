// SPDX-License-Identifier: MIT
#include "capture/thread_stream.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <ctime>

#include "capture/own_mappings.h"
#include "errors.h"

namespace memdrift {

namespace {

// A few microseconds: less than a thread needs to wake another one, more than a line of the cache
// needs to pass between processors.
constexpr uint64_t kTurnTicks = 8192;

ThreadStream* reserveStreams(uint32_t count) {
  // Pages of zeros are streams that are free; only those that are used become memory.
  void* memory = OwnMappings::map(count * sizeof(ThreadStream), MAP_NORESERVE);
  if (memory == MAP_FAILED) throw Error::fromErrno("mmap", "the capture's streams");
  return static_cast<ThreadStream*>(memory);
}

}  // namespace

void ThreadStream::begin(StreamSet& set, uint32_t index, uint32_t tid) noexcept {
  at_ = end_ = nullptr;
  chunk_ = nullptr;
  turn_ = &set.turn_;
  epoch_ = 0;
  turned_at_ = 0;
  state_ = {};
  untold_ = 0;
  chunk_size_ = 0;
  set_ = &set;
  index_ = index;
  tid_ = tid;
  dropped_.store(0, std::memory_order_relaxed);
  first_.store(0, std::memory_order_relaxed);
  reading_ = taken_ = 0;
  announced_ = false;
}

void ThreadStream::takeTurn() noexcept {
  const uint64_t now = __rdtsc();
  if (now - turned_at_ < kTurnTicks) return;
  turned_at_ = now;
  epoch_ = set_->epoch_.fetch_add(1, std::memory_order_seq_cst) + 1;
  set_->turn_.store(index_, std::memory_order_seq_cst);
}

// The first is small, since most of thousands of threads write little. The chunks that streams
// write to are at most a quarter of the memory: the rest is for chunks that the writer has yet to
// take.
uint32_t ThreadStream::nextSize() const noexcept {
  if (!chunk_) return 0;
  uint32_t size = std::min(chunk_size_ + 1, kLargestSize);
  const size_t streams = set_->open_count_.load(std::memory_order_relaxed);
  while (size > 0 && kChunkBytes[size] * streams * 4 > set_->pool_.bytes()) size--;
  return size;
}

bool ThreadStream::refill() noexcept {
  const bool discards = set_->discards_.load(std::memory_order_relaxed);
  const uint32_t number = discards ? 0 : set_->pool_.take(nextSize());
  // Full chunks, and those of ended threads, come back when the writer has taken them.
  if (!discards && (number == 0 || set_->pool_.isLow())) set_->wake();
  if (number == 0) {
    untold_++;
    dropped_.store(dropped_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
    return false;
  }
  Chunk& fresh = set_->pool_[number];
  fresh.committed.store(0, std::memory_order_relaxed);
  fresh.next.store(0, std::memory_order_relaxed);
  (chunk_ ? chunk_->next : first_).store(number, std::memory_order_release);
  if (chunk_) set_->wake();
  chunk_ = &fresh;
  chunk_size_ = set_->pool_.sizeOf(number);
  at_ = fresh.data();
  end_ = at_ + dataBytes(chunk_size_);
  // Not published before the record that comes next.
  if (untold_ != 0) at_ = encode::lost(state_, at_, untold_);
  untold_ = 0;
  return true;
}

StreamSet::StreamSet(const StreamLimits& limits)
    : pool_(limits.max_bytes),
      streams_(reserveStreams(limits.max_threads)),
      max_threads_(limits.max_threads) {}

StreamSet::~StreamSet() { OwnMappings::unmap(streams_, max_threads_ * sizeof(ThreadStream)); }

bool StreamSet::claim(ThreadStream& stream) noexcept {
  uint32_t free = ThreadStream::kFree;
  return stream.use_.load(std::memory_order_relaxed) == free &&
         stream.use_.compare_exchange_strong(free, ThreadStream::kOpening,
                                             std::memory_order_acquire);
}

ThreadStream* StreamSet::open(uint32_t tid) noexcept {
  if (discards_.load(std::memory_order_relaxed)) return nullptr;
  const uint32_t hint = hint_.load(std::memory_order_relaxed);
  for (uint32_t looked = 0; looked < max_threads_; looked++) {
    const uint32_t i = (hint + looked) % max_threads_;
    ThreadStream& stream = streams_[i];
    if (!claim(stream)) continue;
    hint_.store((i + 1) % max_threads_, std::memory_order_relaxed);
    open_count_.fetch_add(1, std::memory_order_relaxed);
    stream.begin(*this, opened_.fetch_add(1, std::memory_order_relaxed) + 1, tid);
    uint32_t used = used_.load(std::memory_order_relaxed);
    while (used <= i && !used_.compare_exchange_weak(used, i + 1, std::memory_order_relaxed))
      continue;
    stream.use_.store(ThreadStream::kOpen, std::memory_order_release);
    return &stream;
  }
  wake();  // those of ended threads come back
  return nullptr;
}

void StreamSet::drain(StreamSink& sink) {
  const uint32_t used = used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < used; i++) {
    ThreadStream& stream = streams_[i];
    // Loaded first: what an ended stream holds then is all that it ever will.
    const uint32_t use = stream.use_.load(std::memory_order_acquire);
    if (use != ThreadStream::kOpen && use != ThreadStream::kEnded) continue;
    drainOne(stream, sink);
    if (use == ThreadStream::kEnded) end(stream, sink);
  }
}

void StreamSet::drainOne(ThreadStream& stream, StreamSink& sink) {
  const StreamInfo info = {stream.index_, stream.tid_};
  if (!stream.announced_) sink.started(info);
  stream.announced_ = true;
  if (stream.reading_ == 0) stream.reading_ = stream.first_.load(std::memory_order_acquire);
  while (stream.reading_ != 0) {
    Chunk& chunk = pool_[stream.reading_];
    // The next chunk first: once there is one, this one's count is final.
    const uint32_t next = chunk.next.load(std::memory_order_acquire);
    const uint32_t committed = chunk.committed.load(std::memory_order_acquire);
    if (committed > stream.taken_)
      sink.events(info, chunk.data() + stream.taken_, committed - stream.taken_);
    stream.taken_ = committed;
    if (next == 0) return;
    pool_.giveBack(stream.reading_);
    stream.reading_ = next;
    stream.taken_ = 0;
  }
}

void StreamSet::end(ThreadStream& stream, StreamSink& sink) {
  if (stream.reading_ != 0) pool_.giveBack(stream.reading_);
  dropped_.fetch_add(stream.dropped(), std::memory_order_relaxed);
  sink.ended({stream.index_, stream.tid_});
  stream.use_.store(ThreadStream::kFree, std::memory_order_release);
  open_count_.fetch_sub(1, std::memory_order_relaxed);
  const auto place = static_cast<uint32_t>(&stream - streams_);
  if (place < hint_.load(std::memory_order_relaxed)) hint_.store(place, std::memory_order_relaxed);
}

uint64_t StreamSet::dropped() const noexcept {
  uint64_t sum = dropped_.load(std::memory_order_relaxed);
  const uint32_t used = used_.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < used; i++) {
    const uint32_t use = streams_[i].use_.load(std::memory_order_acquire);
    if (use == ThreadStream::kOpen || use == ThreadStream::kEnded) sum += streams_[i].dropped();
  }
  return sum;
}

bool StreamSet::wait(uint32_t ms) noexcept {
  const timespec timeout = {ms / 1000, static_cast<long>(ms % 1000) * 1'000'000};
  if (wake_.load(std::memory_order_relaxed) == 0)
    syscall(SYS_futex, &wake_, FUTEX_WAIT_PRIVATE, 0, &timeout, nullptr, 0);
  return wake_.exchange(0, std::memory_order_acquire) != 0;
}

void StreamSet::wake() noexcept {
  // Once is enough until the writer has looked. A hook's caller may need its errno.
  if (wake_.exchange(1, std::memory_order_release) != 0) return;
  const int before = errno;
  syscall(SYS_futex, &wake_, FUTEX_WAKE_PRIVATE, 1, nullptr, nullptr, 0);
  errno = before;
}

}  // namespace memdrift
