// SPDX-License-Identifier: MIT
#include "tracker/own_stack.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

#include "tracker/reentry.h"

extern "C" void* __libc_stack_end;

namespace memdrift {

namespace {

// Where nothing limits a stack.
constexpr uintptr_t kMostStackBytes = 1 << 30;

__thread StackBounds t_stack __attribute__((tls_model("initial-exec"))) = {};

// Lines of /proc/self/maps as they are read, in pieces of any size: two numbers and a rest each.
class MappingLines {
 public:
  // True once a line has told the mapping that `address` is in.
  bool take(const char* text, size_t size, uintptr_t address) noexcept {
    for (size_t i = 0; i < size; i++) {
      const char one = text[i];
      if (one == '\n') {
        *this = {};
      } else if (field_ < 2 && (one == '-' || one == ' ')) {
        field_++;
        if (field_ == 2 && numbers_[0] <= address && address < numbers_[1]) return true;
      } else if (field_ < 2) {
        const auto digit = static_cast<uintptr_t>(one <= '9' ? one - '0' : one - 'a' + 10);
        numbers_[field_] = numbers_[field_] << 4 | digit;
      }
    }
    return false;
  }
  uintptr_t begin() const noexcept { return numbers_[0]; }

 private:
  uintptr_t numbers_[2] = {};
  int field_ = 0;
};

// Of the mapping that `address` is in; 0: none is. By bare system calls: those of glibc are points
// where a thread can be cancelled.
uintptr_t mappingBegin(uintptr_t address) noexcept {
  const auto fd =
      static_cast<int>(syscall(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC));
  if (fd < 0) return 0;
  char text[2048];
  MappingLines lines;
  uintptr_t begin = 0;
  for (;;) {
    const long got = syscall(SYS_read, fd, text, sizeof text);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    if (lines.take(text, static_cast<size_t>(got), address)) {
      begin = lines.begin();
      break;
    }
  }
  syscall(SYS_close, fd);
  return begin;
}

// The first thread's stack grows down to its limit.
StackBounds firstThreadsStack() noexcept {
  const auto end = reinterpret_cast<uintptr_t>(__libc_stack_end);
  rlimit limit;
  const bool has_limit = getrlimit(RLIMIT_STACK, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY;
  return {end - (has_limit ? limit.rlim_cur : kMostStackBytes), end};
}

}  // namespace

StackBounds ownStack() noexcept {
  if (t_stack.end != 0) return t_stack;
  if (syscall(SYS_gettid) == getpid()) {
    t_stack = firstThreadsStack();
  } else {
    // glibc keeps what it knows of a thread at the outer end of its stack, whoever made that.
    const auto end = reinterpret_cast<uintptr_t>(pthread_self());
    const uintptr_t low = mappingBegin(end);
    if (low != 0) t_stack = {low, end};
  }
  return t_stack;
}

void rememberOwnStack() noexcept {
  const NoReentry guard;
  pthread_attr_t attributes;
  if (pthread_getattr_np(pthread_self(), &attributes) != 0) return;
  void* low = nullptr;
  size_t bytes = 0;
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  const auto begin = reinterpret_cast<uintptr_t>(low);
  t_stack = {begin, begin + bytes};
}

}  // namespace memdrift
