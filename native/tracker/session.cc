// SPDX-License-Identifier: MIT
#include "tracker/session.h"

#include <linux/futex.h>
#include <linux/membarrier.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <cerrno>

#include "capture/own_mappings.h"
#include "tracker/own_stack.h"

namespace memdrift {

__thread ThreadMarks t_marks __attribute__((tls_model("initial-exec"))) = {};
ProcessPage g_process_page = {};

namespace {

// At a time; the records of threads beyond are counted as dropped.
constexpr size_t kMaxThreads = 8192;

std::atomic<ThreadTracking*> g_threads[kMaxThreads];
std::atomic<size_t> g_thread_count{0};  // no thread from here on was ever taken
std::atomic<size_t> g_first_free{0};    // none before it, except one that a race overlooked
std::atomic<uint64_t> g_drops{0};

// Marks a slot that is being taken, whose thread is not known yet.
constexpr uint32_t kTaken = UINT32_MAX;
// A search for a free slot costs as much as many records.
constexpr uint32_t kRecordsPerLook = 4096;

void countDrop() noexcept { g_drops.fetch_add(1, std::memory_order_relaxed); }

// Reads the mutex's word, which holds the owner's thread id while it lives (the kernel's ABI of
// robust futexes).
bool isAlive(ThreadTracking& thread) noexcept {
  constexpr int kOwner = 0x3fffffff;
  return (std::atomic_ref(thread.life.__data.__lock).load(std::memory_order_acquire) & kOwner) != 0;
}

bool beginLife(ThreadTracking& thread) noexcept {
  // Robust and private; pthread_mutexattr_setrobust() would need a newer glibc.
  constexpr int kRobust = 16;
  thread.life = PTHREAD_MUTEX_INITIALIZER;
  thread.life.__data.__kind = kRobust;
  return pthread_mutex_lock(&thread.life) == 0;
}

ThreadTracking* takeFree(size_t from) noexcept {
  const size_t count = std::min(g_thread_count.load(std::memory_order_acquire), kMaxThreads);
  for (size_t i = from; i < count; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    uint32_t free = 0;
    if (!thread || thread->tid.load(std::memory_order_relaxed) != free) continue;
    if (!thread->tid.compare_exchange_strong(free, kTaken)) continue;
    g_first_free.store(i + 1, std::memory_order_relaxed);
    return thread;
  }
  g_first_free.store(count, std::memory_order_relaxed);
  return nullptr;
}

ThreadTracking* makeNew() noexcept {
  const size_t at = g_thread_count.fetch_add(1);
  if (at >= kMaxThreads) {
    g_thread_count.fetch_sub(1);
    return nullptr;
  }
  void* pages = OwnMappings::map(sizeof(ThreadTracking));
  if (pages == MAP_FAILED) return nullptr;
  auto* thread = static_cast<ThreadTracking*>(pages);
  thread->tid.store(kTaken, std::memory_order_relaxed);
  g_threads[at].store(thread, std::memory_order_release);
  return thread;
}

// Waits by futex, which every thread of a Node program calls: a filter that forbids other calls
// allows it.
void restFor(long ns) noexcept {
  static std::atomic<uint32_t> word{0};
  const timespec time = {0, ns};
  syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, &time, nullptr, 0);
}

// What other threads stored before is seen, and they see what this one did.
void meetAllThreads() noexcept {
  // Not under a filter of system calls, which may end the process for a rare call.
  const bool is_filtered = prctl(PR_GET_SECCOMP) != 0;
  if (!is_filtered && syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) return;
  // Without membarrier (a filter, an old kernel, not registered): wait long enough for any store to
  // be seen.
  restFor(20'000'000);
}

void giveUpTables(ThreadTracking& thread) noexcept {
  thread.stacks.clear();
  thread.nodes.clear();
}

}  // namespace

void keepPageFromCopies() noexcept {
  g_process_page.is_original.store(true, std::memory_order_relaxed);
  // Linux 4.14 and later; copies by fork() are handled without it.
  madvise(&g_process_page, sizeof g_process_page, MADV_WIPEONFORK);
}

void openSession(Session* session) noexcept {
  g_drops.store(0, std::memory_order_relaxed);
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
  g_samples.store(session->samples, std::memory_order_seq_cst);
  g_session.store(session, std::memory_order_seq_cst);
}

uint64_t unstreamedDrops() noexcept { return g_drops.load(std::memory_order_relaxed); }

namespace {

// Waits until `thread` is outside, at most until `end_ns`; returns whether it is.
bool waitUntilOutside(ThreadTracking& thread, uint64_t end_ns) noexcept {
  constexpr long kRestNs = 50'000;
  const auto isOutside = [&] {
    return thread.stage.load(std::memory_order_acquire) == ThreadTracking::kOutside ||
           !isAlive(thread);
  };
  while (!isOutside()) {
    if (monotonicNs() >= end_ns) return false;
    restFor(kRestNs);
  }
  return true;
}

}  // namespace

uint32_t closeSession() noexcept {
  constexpr uint64_t kMostWaitNs = 1'000'000'000;
  g_samples.store(nullptr, std::memory_order_seq_cst);
  g_session.store(nullptr, std::memory_order_seq_cst);
  meetAllThreads();
  // This thread is not in a record: one that seems to be under way was left by a jump.
  if (ThreadTracking* own = t_marks.tracking; own && own->stage != ThreadTracking::kOutside) {
    own->stage.store(ThreadTracking::kOutside, std::memory_order_relaxed);
    countDrop();
  }
  const uint64_t end_ns = monotonicNs() + kMostWaitNs;
  uint32_t stuck = 0;
  const size_t count = g_thread_count.load();
  for (size_t i = 0; i < count && i < kMaxThreads; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    if (!thread) continue;
    if (!waitUntilOutside(*thread, end_ns)) {
      stuck++;
      continue;
    }
    giveUpTables(*thread);
    thread->stream = nullptr;
  }
  return stuck;
}

void abandonSession() noexcept {
  g_process_page.is_original.store(false, std::memory_order_relaxed);
  g_samples.store(nullptr, std::memory_order_seq_cst);
  g_session.store(nullptr, std::memory_order_seq_cst);
  g_thread_count.store(0);
  for (std::atomic<ThreadTracking*>& one : g_threads) one.store(nullptr, std::memory_order_relaxed);
  t_marks = {};
}

namespace {

// Returns true when `at` is on the thread's alternate signal stack and the thread runs on its own
// stack again. (A program that switches contexts within such a handler loses that stack to the next
// signal anyhow.)
bool isOnUnusedSignalStack(uintptr_t at) noexcept {
  stack_t other = {};
  if (sigaltstack(nullptr, &other) != 0 || (other.ss_flags & SS_ONSTACK) != 0) return false;
  const auto low = reinterpret_cast<uintptr_t>(other.ss_sp);
  return at >= low && at - low < other.ss_size;
}

bool contains(const StackBounds& stack, uintptr_t at) noexcept {
  return at >= stack.low && at < stack.end;
}

}  // namespace

// Called when this thread seems to be inside; returns true when a jump out of a signal handler,
// such as siglongjmp(), left the record. The stack has given up the guard's place then. On stacks
// of contexts that the program switches itself, addresses have no order and the answer is false: no
// record begins within a live one.
bool Recording::wasLeft(uintptr_t here) noexcept {
  ThreadTracking* thread = t_marks.tracking;
  if (!thread || t_marks.inside == kInsideForGood) return false;
  const bool is_half_made =
      thread->stage.load(std::memory_order_relaxed) != ThreadTracking::kOutside;
  const uintptr_t at = t_marks.inside;
  const bool is_left = contains(thread->stack, here) &&
                       (contains(thread->stack, at) ? here >= at : isOnUnusedSignalStack(at));
  if (!is_left) {
    // Within the real functions a nested call is the allocator's own; within a record it is the
    // program's, in a signal handler.
    if (thread->stage.load(std::memory_order_relaxed) == ThreadTracking::kRecording) countDrop();
    return false;
  }
  countDrop();
  // The state of the half-made record may be inconsistent: the next record begins anew.
  const uint32_t session = is_half_made ? thread->session.exchange(0) : 0;
  if (session != 0) thread->left_session = session;
  t_marks.inside = 0;
  return true;
}

ThreadTracking* Recording::newThread() noexcept {
  if (t_marks.until_slot != 0) {
    t_marks.until_slot--;
    countDrop();
    return nullptr;
  }
  const int before = errno;
  ThreadTracking* thread = takeFree(g_first_free.load(std::memory_order_relaxed));
  if (!thread) thread = makeNew();
  if (!thread) thread = takeFree(0);
  if (thread && !beginLife(*thread)) thread = nullptr;
  if (thread) {
    thread->left_session = 0;
    thread->tid.store(static_cast<uint32_t>(thread->life.__data.__owner),
                      std::memory_order_release);
    thread->stack = ownStack();
    thread->isolate = nullptr;
    thread->has_asked_for_isolate = thread->isolate_has_ended = false;
    thread->session.store(0, std::memory_order_relaxed);
    t_marks.tracking = thread;
  } else {
    t_marks.until_slot = kRecordsPerLook;
    countDrop();
  }
  errno = before;
  return thread;
}

void Recording::join() noexcept {
  const int before = errno;
  ThreadTracking& thread = *thread_;
  if (thread.left_session == session_->number) forgetHalfRecord();
  thread.left_session = 0;
  thread.stream = session_->streams->open(thread.tid.load(std::memory_order_relaxed));
  // Entries of an earlier session or thread may be left.
  thread.renew();
  thread.rules.clear();
  thread.counters = {};
  thread.clock.seed(reinterpret_cast<uintptr_t>(&thread) ^ __rdtsc());
  if (session_->sample_bytes != 0) t_marks.until_sample = thread.clock.next(session_->sample_bytes);
  // Of an earlier session's; this one's capture would not know its code.
  thread.isolate = nullptr;
  thread.has_asked_for_isolate = false;
  thread.module_generation = session_->modules.generation();
  thread.session.store(session_->number, std::memory_order_release);
  errno = before;
}

// The stream's state was changed for a record that was not written, so that later ones would be
// read wrongly: the thread continues in another stream, which names its own nodes.
void Recording::forgetHalfRecord() noexcept {
  if (thread_->stream) session_->streams->close(thread_->stream);
  giveUpTables(*thread_);
  session_->mappings.giveUp();
}

void setThreadIsolate(TrackedIsolate* isolate) noexcept {
  const uintptr_t was_inside = t_marks.inside;
  t_marks.inside = 0;
  const auto isNew = [&](const Recording& recording) {
    return recording && (!isolate || recording.thread().isolate != isolate);
  };
  if (const Recording recording; isNew(recording)) {
    ThreadTracking& thread = recording.thread();
    thread.isolate = isolate;
    thread.has_asked_for_isolate = isolate != nullptr;
    thread.renew();
    if (isolate) thread.code_generation = isolate->generation.load(std::memory_order_acquire);
    if (isolate && recording.session().has_lines) {
      const AskingV8 asking(thread);
      isolate->lines.start(isolate->isolate, thread.stack);
    }
  }
  t_marks.inside = was_inside;
}

void endThreadIsolate() noexcept {
  ThreadTracking* thread = t_marks.tracking;
  if (!thread) return;
  thread->isolate = nullptr;
  thread->isolate_has_ended = true;
  thread->renew();
}

void forEachThread(uint32_t session, const std::function<void(ThreadTracking&)>& callback) {
  const size_t count = g_thread_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count && i < kMaxThreads; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    if (!thread || thread->tid.load() == 0) continue;
    if (thread->session.load(std::memory_order_acquire) == session && thread->stream)
      callback(*thread);
  }
}

namespace {

bool isInHook(size_t thread) noexcept {
  ThreadTracking* one = g_threads[thread].load(std::memory_order_acquire);
  return one && one->stage.load(std::memory_order_acquire) != ThreadTracking::kOutside &&
         isAlive(*one);
}

}  // namespace

RunningHooks::RunningHooks() {
  meetAllThreads();
  const size_t count = std::min(g_thread_count.load(std::memory_order_acquire), kMaxThreads);
  for (size_t i = 0; i < count; i++)
    if (isInHook(i)) threads_.push_back(i);
}

// One sighting outside is enough: the thread's next hook finds the new state.
bool RunningHooks::isOver() {
  std::erase_if(threads_, [](size_t thread) { return !isInHook(thread); });
  return threads_.empty();
}

void forgetEndedThreads(Session& session) {
  const size_t count = g_thread_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count && i < kMaxThreads; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    const uint32_t tid = thread ? thread->tid.load(std::memory_order_acquire) : 0;
    if (tid == 0 || tid == kTaken || isAlive(*thread)) continue;
    if (thread->session.load(std::memory_order_acquire) == session.number && thread->stream)
      session.streams->close(thread->stream);
    thread->stream = nullptr;
    giveUpTables(*thread);
    thread->stage.store(ThreadTracking::kOutside, std::memory_order_relaxed);
    thread->tid.store(0, std::memory_order_release);
    if (i < g_first_free.load(std::memory_order_relaxed))
      g_first_free.store(i, std::memory_order_relaxed);
  }
}

}  // namespace memdrift
