// SPDX-License-Identifier: MIT
// The one list of functions that are hooked. A capture names them by their place here, so that the
// order is part of the format: new ones come last.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memdrift {

// heap: gives or takes blocks by address. mapping: gives, takes or changes ranges of pages.
// process: changes what code there is, or who runs it.
enum class AllocatorKind : uint8_t { heap, mapping, process };

// X(function, kind)
#define MEMDRIFT_HOOKS(X)    \
  X(malloc, heap)            \
  X(calloc, heap)            \
  X(realloc, heap)           \
  X(reallocarray, heap)      \
  X(free, heap)              \
  X(posix_memalign, heap)    \
  X(aligned_alloc, heap)     \
  X(memalign, heap)          \
  X(valloc, heap)            \
  X(pvalloc, heap)           \
  X(free_sized, heap)        \
  X(mmap, mapping)           \
  X(mmap64, mapping)         \
  X(munmap, mapping)         \
  X(mremap, mapping)         \
  X(mprotect, mapping)       \
  X(madvise, mapping)        \
  X(dlopen, process)         \
  X(dlclose, process)        \
  X(pthread_create, process) \
  X(prctl, process)          \
  X(syscall, process)

enum class HookId : uint8_t {
#define MEMDRIFT_DECLARE(name, kind) k_##name,
  MEMDRIFT_HOOKS(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};

struct HookInfo {
  const char* name;
  AllocatorKind kind;
};

inline constexpr HookInfo kHooks[] = {
#define MEMDRIFT_INFO(name, kind) {#name, AllocatorKind::kind},
    MEMDRIFT_HOOKS(MEMDRIFT_INFO)
#undef MEMDRIFT_INFO
};
inline constexpr size_t kHookCount = sizeof kHooks / sizeof *kHooks;

// The heap's hooks are named by four bits of a record's first byte.
inline constexpr size_t kHeapHookCount = [] {
  size_t count = 0;
  while (kHooks[count].kind == AllocatorKind::heap) count++;
  for (size_t i = count; i < kHookCount; i++)
    if (kHooks[i].kind == AllocatorKind::heap) return size_t{0};
  return count;
}();
static_assert(kHeapHookCount > 0 && kHeapHookCount <= 16, "heap hooks come first, 16 at most");

}  // namespace memdrift
