// SPDX-License-Identifier: MIT
// Every function here runs in the middle of somebody's malloc: it takes no heap and no lock, leaves
// errno as the real function set it, and throws nothing.
//
// An address belongs to one block at a time, so that the records of a block alternate: what gives
// a block up is recorded before the real call, what takes one after it.
#include "tracker/hooks.h"

#include <dlfcn.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <cerrno>
#include <cstdarg>
#include <cstring>

#include "capture/hook_ids.h"
#include "tracker/hook_notes.h"
#include "tracker/thread_stacks.h"

namespace memdrift {

bool g_maps_unseen = false;

// By name, for the assembly of its hook.
extern "C" [[gnu::visibility("hidden")]] long (*memdrift_real_syscall)(long, ...);
long (*memdrift_real_syscall)(long, ...) = nullptr;

namespace {

constexpr int kDontUnmap = 4;  // of mremap(), Linux 5.7; older headers lack MREMAP_DONTUNMAP

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
  int (*prctl)(int, ...);
  long (*&syscall)(long, ...) = memdrift_real_syscall;
};
RealFunctions real;

std::atomic<void (*)()> g_on_objects_changed{nullptr};
std::atomic<FilterCallback> g_before_filter{nullptr};

}  // namespace

extern "C" {

[[gnu::noinline]] static void* mallocAndTell(size_t bytes) {
  return take({HookId::k_malloc, bytes}, __builtin_frame_address(0),
              [&] { return real.malloc(bytes); });
}

// The rest is a function of its own, which is jumped to: its caller is ours.
static void* memdrift_malloc(size_t bytes) {
  return isUnsampled(bytes) ? real.malloc(bytes) : mallocAndTell(bytes);
}

[[gnu::noinline]] static void* callocAndTell(size_t count, size_t bytes) {
  return take({HookId::k_calloc, count * bytes}, __builtin_frame_address(0),
              [&] { return real.calloc(count, bytes); });
}

static void* memdrift_calloc(size_t count, size_t bytes) {
  return isUnsampled(count * bytes) ? real.calloc(count, bytes) : callocAndTell(count, bytes);
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

[[gnu::noinline]] static void freeAndTell(void* block) {
  noteFree(HookId::k_free, block);
  const NoReentry guard;
  real.free(block);
}

static void memdrift_free(void* block) {
  if (isUnsampled(block)) return real.free(block);
  freeAndTell(block);
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
  return take({HookId::k_aligned_alloc, bytes}, __builtin_frame_address(0),
              [&] { return real.aligned_alloc(alignment, bytes); });
}

static void* memdrift_memalign(size_t alignment, size_t bytes) {
  return take({HookId::k_memalign, bytes}, __builtin_frame_address(0),
              [&] { return real.memalign(alignment, bytes); });
}

static void* memdrift_valloc(size_t bytes) {
  return take({HookId::k_valloc, bytes}, __builtin_frame_address(0),
              [&] { return real.valloc(bytes); });
}

static void* memdrift_pvalloc(size_t bytes) {
  return take({HookId::k_pvalloc, bytes}, __builtin_frame_address(0),
              [&] { return real.pvalloc(bytes); });
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
  if (!isNeverUnmapped(at, bytes)) {
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
  const bool stays = (flags & kDontUnmap) != 0;
  Event range = rangeOf(mapped, bytes);
  range.old_address = addressOf(before);
  range.old_bytes = stays ? 0 : bytes_before;
  recording.thread().stream->remap(
      {node, range.old_address, range.old_bytes, addressOf(mapped), bytes});
  noteForWriter(recording, EventType::remap, range);
  // The pages have moved.
  if (stays) noteAdvice(recording, {addressOf(before), bytes_before, MADV_DONTNEED});
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
  Event change = rangeOf(at, bytes, protection);
  change.type = EventType::protect;
  noteChangeForWriter(recording, change);
  return status;
}

static int memdrift_madvise(void* at, size_t bytes, int advice) {
  const int status = real.madvise(at, bytes, advice);
  if (status != 0 || !givesPagesBack(advice)) return status;
  Recording recording;
  if (recording) noteAdvice(recording, {addressOf(at), bytes, static_cast<uint32_t>(advice)});
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
  if (isInside() || !g_session.load(std::memory_order_relaxed)) return;
  const int before = errno;
  if (const auto callback = g_on_objects_changed.load(std::memory_order_acquire)) callback();
  errno = before;
}

static void* memdrift_dlopen(const char* name, int flags) {
  // The dynamic linker looks up a bare name in the folders that the caller's object names, and
  // "$ORIGIN" is that object's folder. A tail call keeps the program as the caller; the writer's
  // next tick finds the object.
  if (!name || !strchr(name, '/') || strchr(name, '$')) return real.dlopen(name, flags);
  void* object = real.dlopen(name, flags);
  if (object) tellObjectsChanged();
  return object;
}

static int memdrift_dlclose(void* object) {
  const int status = real.dlclose(object);
  if (status == 0) tellObjectsChanged();
  return status;
}

// The one exception to the head of this file: no malloc of the program is under way here, and it
// stops the tracker.
[[gnu::noinline]] static void tellFilter(unsigned long mode, const void* filter) {
  if (isInside() || !g_session.load(std::memory_order_relaxed)) return;
  const int before = errno;
  const NoReentry guard;
  if (const auto callback = g_before_filter.load(std::memory_order_acquire)) callback(mode, filter);
  errno = before;
}

static int memdrift_prctl(int option, ...) {
  va_list rest;
  va_start(rest, option);
  // Those that the caller did not give are whatever is in their place, as in glibc's.
  unsigned long given[4];
  for (unsigned long& one : given) one = va_arg(rest, unsigned long);
  va_end(rest);
  if (option == PR_SET_SECCOMP) tellFilter(given[0], reinterpret_cast<const void*>(given[1]));
  return real.prctl(option, given[0], given[1], given[2], given[3]);
}

// `saved` are the registers as memdrift_syscall() pushed them, the last first.
[[gnu::used]] static void tellSystemCall(const unsigned long* saved) {
  const unsigned long a = saved[5], b = saved[4], c = saved[3];
  const auto number = static_cast<uint32_t>(saved[6]);
  if (number == SYS_prctl && a == PR_SET_SECCOMP) tellFilter(b, reinterpret_cast<const void*>(c));
  if (number != SYS_seccomp) return;
  if (a == SECCOMP_SET_MODE_STRICT) tellFilter(SECCOMP_MODE_STRICT, nullptr);
  if (a == SECCOMP_SET_MODE_FILTER)
    tellFilter(SECCOMP_MODE_FILTER, reinterpret_cast<const void*>(c));
}

// The call may have an argument on the stack or not: a compiled function would copy its place,
// which may be a variable of the caller that other threads change. All other calls jump on with no
// frame of ours, since the child of a bare vfork() returns before its parent. The kernel takes the
// lower half of the number.
static_assert(SYS_seccomp == 317 && SYS_prctl == 157);
[[gnu::naked]] static long memdrift_syscall(long, ...) {
  asm("cmp $317, %edi\n"
      "je 1f\n"
      "cmp $157, %edi\n"
      "je 1f\n"
      "0: jmp *memdrift_real_syscall(%rip)\n"
      "1: push %rdi\n push %rsi\n push %rdx\n push %rcx\n push %r8\n push %r9\n push %rax\n"
      ".cfi_adjust_cfa_offset 56\n"
      "mov %rsp, %rdi\n"
      "call tellSystemCall\n"
      "pop %rax\n pop %r9\n pop %r8\n pop %rcx\n pop %rdx\n pop %rsi\n pop %rdi\n"
      ".cfi_adjust_cfa_offset -56\n"
      "jmp 0b\n");
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
  Dl_info of = {};
  g_maps_unseen = dladdr(reinterpret_cast<void*>(real.malloc), &of) && of.dli_fname &&
                  strstr(of.dli_fname, ".so");
  return functions;
}

}  // namespace

const std::vector<Interposed>& interposedFunctions() {
  static const std::vector<Interposed> functions = findFunctions();
  return functions;
}

void onObjectsChanged(void (*callback)()) noexcept { g_on_objects_changed.store(callback); }
void beforeFilter(FilterCallback callback) noexcept { g_before_filter.store(callback); }

}  // namespace memdrift
