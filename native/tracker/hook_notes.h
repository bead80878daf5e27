// SPDX-License-Identifier: MIT
// What hooks record of a call: one block more or less, a mapping made or changed. In hooks: no
// heap, no lock.
#pragma once

#include <sys/mman.h>

#include <cstdint>

#include "capture/hook_ids.h"
#include "tracker/session.h"
#include "tracker/stack_nodes.h"

namespace memdrift {

// What malloc maps for its blocks comes to no hook: it is glibc's, or another library's, whose
// calls are left alone. One in the executable calls what the executable calls.
extern bool g_maps_unseen;

inline uint64_t addressOf(const void* at) noexcept { return reinterpret_cast<uintptr_t>(at); }

struct Block {
  const void* address;
  size_t bytes;
};

// Of a block that has a sampled byte in it.
[[gnu::noinline]] inline void noteSample(HookId hook, const Block& block,
                                         const void* frame) noexcept {
  Recording recording;
  if (!recording) return;
  ThreadTracking& thread = recording.thread();
  Session& session = recording.session();
  // A thread's first allocation only sets its clock; a session that began just now may take all.
  if (session.sample_bytes == 0 || t_marks.until_sample > 0) return;
  t_marks.until_sample = thread.clock.next(session.sample_bytes);
  if (!session.samples->add(addressOf(block.address))) {
    session.streams->countDrop();
    return;
  }
  const uint32_t node = currentStack(recording, frame);
  thread.stream->allocSample({hook, node, addressOf(block.address), block.bytes},
                             SampleClock::weightOf(block.bytes, session.sample_bytes));
}

// Most allocations, where only samples are recorded: nothing is left to do but the real call, which
// is then a jump. The rest comes to noteAlloc.
inline bool isUnsampled(size_t bytes) noexcept {
  if (!g_samples.load(std::memory_order_relaxed) || !g_maps_unseen) return false;
  const int64_t left = t_marks.until_sample;
  // As it was asked for: a size that nobody can have must not move the clock for good.
  if (left <= 0 || bytes >= static_cast<uint64_t>(left)) return false;
  t_marks.until_sample = left - static_cast<int64_t>(bytes);
  return true;
}

inline bool isUnsampled(const void* block) noexcept {
  const SampledBlocks* samples = g_samples.load(std::memory_order_relaxed);
  return samples && g_maps_unseen && !samples->mayHave(addressOf(block));
}

// `frame` is the hook's own: stacks begin with its caller.
inline void noteAlloc(HookId hook, const Block& block, const void* frame) noexcept {
  if (!block.address) return;
  if (g_samples.load(std::memory_order_relaxed)) {
    t_marks.until_sample -= static_cast<int64_t>(block.bytes);
    if (t_marks.until_sample <= 0) [[unlikely]]
      noteSample(hook, block, frame);
    return;
  }
  Recording recording;
  if (!recording) return;
  const uint32_t node = currentStack(recording, frame);
  recording.thread().stream->alloc({hook, node, addressOf(block.address), block.bytes});
}

struct Wanted {
  HookId hook;
  size_t bytes;
};

template <typename RealCall>
[[gnu::always_inline]] inline void* take(const Wanted& wanted, const void* frame,
                                         RealCall&& call) noexcept {
  void* block;
  {
    // An allocator's own calls, of mmap as a rule, are its block and not others beside it.
    const NoReentry guard;
    block = call();
  }
  noteAlloc(wanted.hook, {block, wanted.bytes}, frame);
  return block;
}

// True if it was recorded.
inline bool noteFree(HookId hook, const void* block) noexcept {
  if (!block) return false;
  SampledBlocks* samples = g_samples.load(std::memory_order_relaxed);
  if (samples && !samples->mayHave(addressOf(block))) [[likely]]
    return false;
  Recording recording;
  if (!recording) return false;
  if (samples && !samples->remove(addressOf(block))) return false;
  return recording.thread().stream->free({hook, addressOf(block)});
}

// A block whose free was recorded is there after all.
inline void noteRestore(const void* block) noexcept {
  Recording recording;
  if (!recording) return;
  if (SampledBlocks* samples = recording.session().samples) samples->add(addressOf(block));
  recording.thread().stream->restore(addressOf(block));
}

struct MapCall {
  const void* address;
  size_t bytes;
  int protection;
  int flags;
  int fd;
};

// For the writer too, which looks what is resident of it.
inline void noteForWriter(const Recording& recording, EventType type, const Event& range) noexcept {
  Event event = range;
  event.type = type;
  if (recording.session().mappings.put(event)) recording.session().streams->wake();
}

// The same for a change that the writer can do without.
inline void noteChangeForWriter(const Recording& recording, const Event& change) noexcept {
  if (recording.session().mappings.putChange(change)) recording.session().streams->wake();
}

inline Event rangeOf(const void* at, size_t bytes, int protection = 0) noexcept {
  Event event;
  event.address = addressOf(at);
  event.bytes = bytes;
  event.protection = static_cast<uint32_t>(protection);
  return event;
}

inline void noteAdvice(const Recording& recording, const AdviseEvent& advice) noexcept {
  recording.thread().stream->advise(advice);
  Event change;
  change.type = EventType::advise;
  change.address = advice.address;
  change.bytes = advice.bytes;
  change.advice = advice.advice;
  noteChangeForWriter(recording, change);
}

inline void noteMap(const MapCall& call, const void* frame) noexcept {
  if (call.address == MAP_FAILED) return;
  Recording recording;
  if (!recording) return;
  const uint32_t node = currentStack(recording, frame);
  recording.thread().stream->map({node, addressOf(call.address), call.bytes,
                                  static_cast<uint32_t>(call.protection),
                                  static_cast<uint32_t>(call.flags), call.fd >= 0});
  Event range = rangeOf(call.address, call.bytes, call.protection);
  range.flags = static_cast<uint32_t>(call.flags);
  range.is_file = call.fd >= 0;
  noteForWriter(recording, EventType::map, range);
}

// Returns true when munmap() fails for these arguments on every kernel. Mappings beyond 47 bits of
// address exist only where the program asked for such an address.
inline bool isNeverUnmapped(const void* at, size_t bytes) noexcept {
  constexpr uint64_t kPageMask = 4095;
  constexpr uint64_t kUsualEnd = 1ULL << 47;
  const uint64_t begin = addressOf(at);
  if ((begin & kPageMask) != 0 || bytes == 0) return true;
  return bytes > (begin < kUsualEnd ? kUsualEnd : UINT64_MAX) - begin;
}

inline bool givesPagesBack(int advice) noexcept {
  return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE;
}

}  // namespace memdrift
