// SPDX-License-Identifier: MIT
#include "tracker/session.h"

#include <linux/membarrier.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>
#include <cerrno>

#include "capture/own_mappings.h"
#include "tracker/own_stack.h"

namespace memdrift {

__thread ThreadMarks t_marks __attribute__((tls_model("initial-exec"))) = {};
std::atomic<Session*> g_session{nullptr};
std::atomic<SampledBlocks*> g_samples{nullptr};

namespace {

// At a time; the records of threads beyond are counted as dropped.
constexpr size_t kMaxThreads = 4096;

std::atomic<ThreadTracking*> g_threads[kMaxThreads];
std::atomic<size_t> g_thread_count{0};  // no thread from here on was ever taken

uint32_t threadId() noexcept { return static_cast<uint32_t>(syscall(SYS_gettid)); }

bool isAlive(uint32_t tid) noexcept {
  return syscall(SYS_tgkill, getpid(), tid, 0) == 0 || errno != ESRCH;
}

ThreadTracking* takeFree(uint32_t tid) noexcept {
  const size_t count = g_thread_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    uint32_t free = 0;
    if (thread && thread->tid.compare_exchange_strong(free, tid)) return thread;
  }
  return nullptr;
}

ThreadTracking* makeNew(uint32_t tid) noexcept {
  const size_t at = g_thread_count.fetch_add(1);
  if (at >= kMaxThreads) {
    g_thread_count.fetch_sub(1);
    return nullptr;
  }
  void* pages = OwnMappings::map(sizeof(ThreadTracking));
  if (pages == MAP_FAILED) return nullptr;
  auto* thread = static_cast<ThreadTracking*>(pages);
  thread->tid.store(tid, std::memory_order_relaxed);
  g_threads[at].store(thread, std::memory_order_release);
  return thread;
}

// What other threads stored before is seen, and they see what this one did.
void meetAllThreads() noexcept {
  if (syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0) return;
  // Not registered, or an old kernel: long enough for any store to be seen.
  usleep(20'000);
}

void giveUpTables(ThreadTracking& thread) noexcept {
  thread.stacks.clear();
  thread.nodes.clear();
}

}  // namespace

void openSession(Session* session) noexcept {
  syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0);
  g_samples.store(session->samples, std::memory_order_seq_cst);
  g_session.store(session, std::memory_order_seq_cst);
}

void closeSession() noexcept {
  g_samples.store(nullptr, std::memory_order_seq_cst);
  g_session.store(nullptr, std::memory_order_seq_cst);
  meetAllThreads();
  const size_t count = g_thread_count.load();
  for (size_t i = 0; i < count && i < kMaxThreads; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    if (!thread) continue;
    while (thread->is_recording.load(std::memory_order_acquire) != 0 && isAlive(thread->tid))
      usleep(50);
    giveUpTables(*thread);
    thread->stream = nullptr;
  }
}

void abandonSession() noexcept {
  g_samples.store(nullptr, std::memory_order_seq_cst);
  g_session.store(nullptr, std::memory_order_seq_cst);
  t_marks = {};
}

ThreadTracking* Recording::newThread() noexcept {
  const int before = errno;
  const uint32_t tid = threadId();
  ThreadTracking* thread = takeFree(tid);
  if (!thread) thread = makeNew(tid);
  if (thread) {
    thread->stack = ownStack();
    thread->isolate = nullptr;
    thread->has_asked_for_isolate = thread->isolate_has_ended = false;
    thread->session.store(0, std::memory_order_relaxed);
    t_marks.tracking = thread;
  }
  errno = before;
  return thread;
}

void Recording::join() noexcept {
  const int before = errno;
  ThreadTracking& thread = *thread_;
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

void setThreadIsolate(TrackedIsolate* isolate) noexcept {
  const bool was_inside = t_marks.is_inside;
  t_marks.is_inside = false;
  const auto isNew = [&](const Recording& recording) {
    return recording && (!isolate || recording.thread().isolate != isolate);
  };
  if (const Recording recording; isNew(recording)) {
    ThreadTracking& thread = recording.thread();
    thread.isolate = isolate;
    thread.has_asked_for_isolate = isolate != nullptr;
    thread.renew();
    if (isolate) thread.code_generation = isolate->generation.load(std::memory_order_acquire);
    if (isolate && recording.session().has_lines)
      isolate->lines.start(isolate->isolate, thread.stack);
  }
  t_marks.is_inside = was_inside;
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
  const ThreadTracking* one = g_threads[thread].load(std::memory_order_acquire);
  return one && one->is_recording.load(std::memory_order_acquire) != 0;
}

}  // namespace

RunningHooks::RunningHooks() {
  meetAllThreads();
  const size_t count = std::min(g_thread_count.load(std::memory_order_acquire), kMaxThreads);
  for (size_t i = 0; i < count; i++)
    if (isInHook(i)) threads_.push_back(i);
}

// Seen outside once is enough: the next hook finds what is new.
bool RunningHooks::isOver() {
  std::erase_if(threads_, [](size_t thread) { return !isInHook(thread); });
  return threads_.empty();
}

void forEachThreadMemory(const std::function<void(const void* begin, size_t bytes)>& callback) {
  const size_t count = g_thread_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count && i < kMaxThreads; i++)
    if (const ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire))
      callback(thread, sizeof *thread);
}

void forgetEndedThreads(Session& session) {
  const size_t count = g_thread_count.load(std::memory_order_acquire);
  for (size_t i = 0; i < count && i < kMaxThreads; i++) {
    ThreadTracking* thread = g_threads[i].load(std::memory_order_acquire);
    const uint32_t tid = thread ? thread->tid.load(std::memory_order_acquire) : 0;
    if (tid == 0 || isAlive(tid)) continue;
    if (thread->session.load(std::memory_order_acquire) == session.number && thread->stream)
      session.streams->close(thread->stream);
    thread->stream = nullptr;
    giveUpTables(*thread);
    thread->is_recording.store(0, std::memory_order_relaxed);
    thread->tid.store(0, std::memory_order_release);
  }
}

}  // namespace memdrift
