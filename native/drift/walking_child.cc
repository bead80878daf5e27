// SPDX-License-Identifier: MIT
#include "drift/walking_child.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <ctime>

#include "drift/arena_finder.h"
#include "drift/buffer_finder.h"
#include "drift/frozen_memory.h"
#include "drift/heap_walk.h"
#include "drift/mapped_blocks.h"
#include "errors.h"

namespace memdrift {

namespace {

// What a walk may take, for any program and for each byte that is resident: twenty times what
// was measured.
constexpr double kLeastDeadlineMs = 4000;
constexpr double kDeadlineMsPerByte = 4000.0 / (1 << 30);

double nowMs() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e3 + static_cast<double>(now.tv_nsec) / 1e6;
}

// malloc.h, whose mallinfo2 is new in 2.33.
struct Mallinfo2 {
  size_t arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};
struct Mallinfo {
  unsigned arena, ordblks, smblks, hblks, hblkhd, usmblks, fsmblks, uordblks, fordblks, keepcost;
};

struct OwnFunctions {
  Mallinfo2 (*mallinfo2)();
  Mallinfo (*mallinfo)();

  OwnFunctions()
      : mallinfo2(reinterpret_cast<Mallinfo2 (*)()>(dlsym(RTLD_DEFAULT, "mallinfo2"))),
        mallinfo(reinterpret_cast<Mallinfo (*)()>(dlsym(RTLD_DEFAULT, "mallinfo"))) {}
};

template <typename Info>
void takeFigures(const Info& info, OwnFigures& own) {
  own.system_bytes = info.arena;
  own.free_bytes = info.fordblks;
  own.fast_bytes = info.fsmblks;
  own.mapped_bytes = info.hblkhd;
  own.mapped_blocks = info.hblks;
  own.is_modulo_32_bits = sizeof info.arena == 4;
  own.is_known = true;
}

bool walkAll(const Allocator& allocator, WalkResult& result) {
  FrozenMemory memory;
  result.failure = WalkFailure::kNoMaps;
  if (!memory.look()) {
    result.error_number = errno;
    return false;
  }
  result.failure = WalkFailure::kNone;
  ArenaFinder finder(memory, result, allocator.version);
  const auto heap_end = reinterpret_cast<uint64_t>(sbrk(0));
  if (!finder.find(allocator.data, heap_end)) return false;
  result.buffers.is_whole = true;
  BufferFinder buffers(memory, finder, result);
  if (!buffers.init()) {
    result.failure = WalkFailure::kNoMemory;
    return false;
  }
  HeapWalk walk(memory, finder, result);
  if (!walk.walk(buffers)) return false;
  if (!findMappedBlocks(memory, finder, result)) result.block_bytes = 0;
  buffers.count();
  result.knows_zero_pages = memory.knowsZeroPages();
  return true;
}

// All signals are blocked here, and so a fault is the end, whatever handlers the program has.
[[noreturn]] void runChild(const Allocator& allocator, const OwnFunctions& own,
                           WalkResult& result) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  const rlimit none = {0, 0};
  setrlimit(RLIMIT_CORE, &none);
#ifdef SYS_close_range
  // Else what the program closes meanwhile stays open until the child ends: the other side of a
  // connection would wait. Linux 5.9.
  syscall(SYS_close_range, 0, UINT_MAX, 0);
#endif
  if (!walkAll(allocator, result)) {
    result.phase.store(WalkPhase::kFailed);
    _exit(0);
  }
  result.phase.store(WalkPhase::kWalked);
  // In a heap that was written over this may end the child; what was found before is told.
  if (own.mallinfo2)
    takeFigures(own.mallinfo2(), result.own);
  else if (own.mallinfo)
    takeFigures(own.mallinfo(), result.own);
  result.phase.store(WalkPhase::kChecked);
  _exit(0);
}

// Without a FILE, whose buffer is large enough a block for malloc to merge what is in its fast
// bins.
uint64_t residentBytes() {
  const int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[256];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  char* after_size = nullptr;
  strtoul(text, &after_size, 10);
  return strtoul(after_size, nullptr, 10) * static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
}

// Its end is looked for, not waited for: a wait has no deadline. Somebody else who waits for any
// child may be told instead of us.
ChildEnd waitFor(pid_t pid, double deadline_ms) {
  ChildEnd end = {};
  for (long pause_ns = 50'000;;) {
    int status = 0;
    const pid_t ended = waitpid(pid, &status, WNOHANG);
    if (ended == pid) {
      end.signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
      return end;
    }
    if (ended < 0 && errno != EINTR) return end;
    if (nowMs() > deadline_ms && !end.is_late) {
      end.is_late = true;
      kill(pid, SIGKILL);
    }
    const timespec pause = {0, pause_ns};
    nanosleep(&pause, nullptr);
    if (pause_ns < 2'000'000) pause_ns += pause_ns / 4;
  }
}

}  // namespace

SharedResult::SharedResult() {
  void* const memory = mmap(nullptr, sizeof(WalkResult), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) throw Error::fromErrno("mmap", "the result of a walk");
  result_ = static_cast<WalkResult*>(memory);
}

SharedResult::~SharedResult() { munmap(result_, sizeof(WalkResult)); }

ChildEnd walkInChild(const Allocator& allocator, WalkResult& result) {
  const OwnFunctions own;
  const double most_ms =
      kLeastDeadlineMs + kDeadlineMsPerByte * static_cast<double>(residentBytes());
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const double start_ms = nowMs();
  const pid_t pid = fork();
  if (pid == 0) runChild(allocator, own, result);
  const int error_number = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  if (pid < 0) throw Error::fromErrno("fork", "this process", error_number);
  const double forked_ms = nowMs();
  ChildEnd end = waitFor(pid, forked_ms + most_ms);
  end.fork_ms = forked_ms - start_ms;
  end.walk_ms = nowMs() - forked_ms;
  return end;
}

}  // namespace memdrift
