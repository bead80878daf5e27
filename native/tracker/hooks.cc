// SPDX-License-Identifier: MIT
// Every function here runs in the middle of somebody's malloc: it takes no heap and no lock, leaves
// errno as the real function set it, and throws nothing.
//
// An address belongs to one block at a time, so that the records of a block alternate: what gives
// a block up is recorded before the real call, what takes one after it.
#include "tracker/hooks.h"

#include <dlfcn.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <cstdarg>
#include <cstring>

#include "capture/hook_ids.h"
#include "tracker/session.h"
#include "tracker/stack_nodes.h"
#include "tracker/thread_stacks.h"

namespace memdrift {

namespace {

struct RealFunctions {
  void* (*malloc)(size_t);
  void* (*calloc)(size_t, size_t);
  void* (*realloc)(void*, size_t);
  void* (*reallocarray)(void*, size_t, size_t);
  void (*free)(void*);
  int (*posix_memalign)(void**, size_t, size_t);
  void* (*aligned_alloc)(size_t, size_t);
  void* (*memalign)(size_t, size_t);
  void* (*valloc)(size_t);
  void* (*pvalloc)(size_t);
  void (*free_sized)(void*, size_t);
  void* (*mmap)(void*, size_t, int, int, int, off_t);
  void* (*mmap64)(void*, size_t, int, int, int, off_t);
  int (*munmap)(void*, size_t);
  void* (*mremap)(void*, size_t, size_t, int, ...);
  int (*mprotect)(void*, size_t, int);
  int (*madvise)(void*, size_t, int);
  void* (*dlopen)(const char*, int);
  int (*dlclose)(void*);
  int (*pthread_create)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
};
RealFunctions real;

std::atomic<void (*)()> g_on_objects_changed{nullptr};

uint64_t addressOf(const void* at) noexcept { return reinterpret_cast<uintptr_t>(at); }

struct Block {
  const void* address;
  size_t bytes;
};

// Of a block that has a sampled byte in it.
[[gnu::noinline]] void noteSample(HookId hook, const Block& block, const void* frame) noexcept {
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
void noteRestore(const void* block) noexcept {
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
void noteForWriter(const Recording& recording, EventType type, const Event& range) noexcept {
  Event event = range;
  event.type = type;
  recording.session().mappings.put(event);
}

Event rangeOf(const void* at, size_t bytes, int protection = 0) noexcept {
  Event event;
  event.address = addressOf(at);
  event.bytes = bytes;
  event.protection = static_cast<uint32_t>(protection);
  return event;
}

void noteMap(const MapCall& call, const void* frame) noexcept {
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

bool givesPagesBack(int advice) noexcept {
  return advice == MADV_DONTNEED || advice == MADV_FREE || advice == MADV_REMOVE;
}

}  // namespace

extern "C" {

static void* memdrift_malloc(size_t bytes) {
  void* block;
  {
    // An allocator's own calls, of mmap as a rule, are its block and not others beside it.
    const NoReentry guard;
    block = real.malloc(bytes);
  }
  noteAlloc(HookId::k_malloc, {block, bytes}, __builtin_frame_address(0));
  return block;
}

static void* memdrift_calloc(size_t count, size_t bytes) {
  void* block;
  {
    const NoReentry guard;
    block = real.calloc(count, bytes);
  }
  noteAlloc(HookId::k_calloc, {block, count * bytes}, __builtin_frame_address(0));
  return block;
}

static void* memdrift_realloc(void* before, size_t bytes) {
  const bool is_told = noteFree(HookId::k_realloc, before);
  void* block;
  {
    const NoReentry guard;
    block = real.realloc(before, bytes);
  }
  if (block) noteAlloc(HookId::k_realloc, {block, bytes}, __builtin_frame_address(0));
  // To no bytes is to free; else it failed, and the block is where it was.
  else if (bytes != 0 && is_told)
    noteRestore(before);
  return block;
}

static void* memdrift_reallocarray(void* before, size_t count, size_t bytes) {
  const bool is_told = noteFree(HookId::k_reallocarray, before);
  void* block;
  {
    // glibc's calls realloc by a word that is ours too.
    const NoReentry guard;
    block = real.reallocarray(before, count, bytes);
  }
  if (block)
    noteAlloc(HookId::k_reallocarray, {block, count * bytes}, __builtin_frame_address(0));
  else if (count != 0 && bytes != 0 && is_told)
    noteRestore(before);
  return block;
}

static void memdrift_free(void* block) {
  noteFree(HookId::k_free, block);
  const NoReentry guard;
  real.free(block);
}

static void memdrift_free_sized(void* block, size_t bytes) {
  noteFree(HookId::k_free_sized, block);
  const NoReentry guard;
  real.free_sized(block, bytes);
}

static int memdrift_posix_memalign(void** block, size_t alignment, size_t bytes) {
  int problem;
  {
    const NoReentry guard;
    problem = real.posix_memalign(block, alignment, bytes);
  }
  if (problem == 0)
    noteAlloc(HookId::k_posix_memalign, {*block, bytes}, __builtin_frame_address(0));
  return problem;
}

static void* memdrift_aligned_alloc(size_t alignment, size_t bytes) {
  void* block;
  {
    const NoReentry guard;
    block = real.aligned_alloc(alignment, bytes);
  }
  noteAlloc(HookId::k_aligned_alloc, {block, bytes}, __builtin_frame_address(0));
  return block;
}

static void* memdrift_memalign(size_t alignment, size_t bytes) {
  void* block;
  {
    const NoReentry guard;
    block = real.memalign(alignment, bytes);
  }
  noteAlloc(HookId::k_memalign, {block, bytes}, __builtin_frame_address(0));
  return block;
}

static void* memdrift_valloc(size_t bytes) {
  void* block;
  {
    const NoReentry guard;
    block = real.valloc(bytes);
  }
  noteAlloc(HookId::k_valloc, {block, bytes}, __builtin_frame_address(0));
  return block;
}

static void* memdrift_pvalloc(size_t bytes) {
  void* block;
  {
    const NoReentry guard;
    block = real.pvalloc(bytes);
  }
  noteAlloc(HookId::k_pvalloc, {block, bytes}, __builtin_frame_address(0));
  return block;
}

static void* memdrift_mmap(void* at, size_t bytes, int protection, int flags, int fd,
                           off_t offset) {
  void* mapped = real.mmap(at, bytes, protection, flags, fd, offset);
  noteMap({mapped, bytes, protection, flags, fd}, __builtin_frame_address(0));
  return mapped;
}

static void* memdrift_mmap64(void* at, size_t bytes, int protection, int flags, int fd,
                             off_t offset) {
  void* mapped = real.mmap64(at, bytes, protection, flags, fd, offset);
  noteMap({mapped, bytes, protection, flags, fd}, __builtin_frame_address(0));
  return mapped;
}

static int memdrift_munmap(void* at, size_t bytes) {
  {
    // One that fails is recorded too: it is a range that was none, or a wrong argument.
    Recording recording;
    if (recording) {
      recording.thread().stream->unmap({addressOf(at), bytes});
      noteForWriter(recording, EventType::unmap, rangeOf(at, bytes));
    }
  }
  return real.munmap(at, bytes);
}

static void* memdrift_mremap(void* before, size_t bytes_before, size_t bytes, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  void* at = (flags & MREMAP_FIXED) ? va_arg(rest, void*) : nullptr;
  va_end(rest);
  void* mapped = real.mremap(before, bytes_before, bytes, flags, at);
  if (mapped == MAP_FAILED) return mapped;
  Recording recording;
  if (!recording) return mapped;
  const uint32_t node = currentStack(recording, __builtin_frame_address(0));
  recording.thread().stream->remap(
      {node, addressOf(before), bytes_before, addressOf(mapped), bytes});
  Event range = rangeOf(mapped, bytes);
  range.old_address = addressOf(before);
  range.old_bytes = bytes_before;
  noteForWriter(recording, EventType::remap, range);
  return mapped;
}

static int memdrift_mprotect(void* at, size_t bytes, int protection) {
  const int status = real.mprotect(at, bytes, protection);
  if (status != 0) return status;
  Recording recording;
  if (!recording) return status;
  const uint32_t node = currentStack(recording, __builtin_frame_address(0));
  recording.thread().stream->protect(
      {node, addressOf(at), bytes, static_cast<uint32_t>(protection)});
  return status;
}

static int memdrift_madvise(void* at, size_t bytes, int advice) {
  const int status = real.madvise(at, bytes, advice);
  if (status != 0 || !givesPagesBack(advice)) return status;
  Recording recording;
  if (recording)
    recording.thread().stream->advise({addressOf(at), bytes, static_cast<uint32_t>(advice)});
  return status;
}

static int memdrift_pthread_create(pthread_t* thread, const pthread_attr_t* attributes,
                                   void* (*start)(void*), void* argument) {
  const NewThread told = tellThreadStack({start, argument}, __builtin_frame_address(0));
  const int problem = real.pthread_create(thread, attributes, told.start, told.argument);
  if (problem != 0) forgetThreadStack(told);
  return problem;
}

static void tellObjectsChanged() {
  if (t_marks.is_inside || !g_session.load(std::memory_order_relaxed)) return;
  const int before = errno;
  if (const auto callback = g_on_objects_changed.load(std::memory_order_acquire)) callback();
  errno = before;
}

static void* memdrift_dlopen(const char* name, int flags) {
  // A bare name is looked for in the folders that the caller's object names: the caller must not
  // be us, so this is a jump, and the next look at what is loaded finds the object.
  if (!name || !strchr(name, '/')) return real.dlopen(name, flags);
  void* object = real.dlopen(name, flags);
  if (object) tellObjectsChanged();
  return object;
}

static int memdrift_dlclose(void* object) {
  const int status = real.dlclose(object);
  if (status == 0) tellObjectsChanged();
  return status;
}

}  // extern "C"

namespace {

std::vector<Interposed> findFunctions() {
  std::vector<Interposed> functions;
  const auto add = [&](const char* name, auto* hook, auto*& real_function) {
    void* found = realFunction(name);
    real_function = reinterpret_cast<std::remove_reference_t<decltype(real_function)>>(found);
    functions.push_back({name, reinterpret_cast<void*>(hook), found});
  };
#define MEMDRIFT_ADD(name, kind) add(#name, memdrift_##name, real.name);
  MEMDRIFT_HOOKS(MEMDRIFT_ADD)
#undef MEMDRIFT_ADD
  return functions;
}

}  // namespace

const std::vector<Interposed>& interposedFunctions() {
  static const std::vector<Interposed> functions = findFunctions();
  return functions;
}

void onObjectsChanged(void (*callback)()) noexcept { g_on_objects_changed.store(callback); }

}  // namespace memdrift
