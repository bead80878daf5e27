// SPDX-License-Identifier: MIT
// One capture that is being made: what hooks need of it, and who is inside of them.
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <vector>

#include "capture/capture_writer.h"
#include "tracker/mapping_log.h"
#include "tracker/module_table.h"
#include "tracker/process_page.h"
#include "tracker/sampling.h"
#include "tracker/thread_tracking.h"

namespace memdrift {

struct Session {
  StreamSet* streams = nullptr;
  ModuleTable modules;
  uint32_t number = 0;
  bool has_native_stacks = true;
  bool has_lines = false;
  uint64_t sample_bytes = 0;         // between two samples, on average; 0: all are recorded
  SampledBlocks* samples = nullptr;  // if they are not
  MappingLog mappings;
  uint32_t check_every = 0;  // stacks; 0: none is compared with V8
};

// Makes hooks record for `session`.
void openSession(Session* session) noexcept;
// Ends the session: when it returns no hook begins a record. Returns how many threads are still in
// the middle of one and may hold the session for good. Waits at most a second for all together.
uint32_t closeSession() noexcept;

// Returns how many records of this session are in no stream: those of threads without a slot, those
// of signal handlers that interrupted a hook, and those that a jump left half made.
uint64_t unstreamedDrops() noexcept;

// A record being made by the calling thread. Hooks make one on their stack and look whether it may.
class Recording {
 public:
  [[gnu::always_inline]] Recording() noexcept {
    if (t_marks.inside != 0 && !wasLeft(stackPointer())) [[unlikely]]
      return;
    if (g_session.load(std::memory_order_relaxed) == nullptr) return;
    t_marks.inside = stackPointer();
    thread_ = t_marks.tracking;
    if (!thread_) [[unlikely]]
      thread_ = newThread();
    if (!thread_) {
      t_marks.inside = 0;
      return;
    }
    thread_->stage.store(ThreadTracking::kRecording, std::memory_order_relaxed);
    // closeSession() makes all threads see each other's stores, so that none is needed here.
    std::atomic_signal_fence(std::memory_order_seq_cst);
    session_ = g_session.load(std::memory_order_acquire);
    if (!session_) {
      end();
      return;
    }
    if (thread_->session.load(std::memory_order_relaxed) != session_->number) [[unlikely]]
      join();
    if (!thread_->stream) [[unlikely]] {
      session_->streams->countDrop();
      end();
    }
  }
  ~Recording() {
    if (session_) end();
  }
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;

  // Returns true on a thread that seems to be inside but left by a jump.
  static bool hasLeft() noexcept { return wasLeft(stackPointer()); }

  explicit operator bool() const noexcept { return session_ != nullptr; }
  ThreadTracking& thread() const noexcept { return *thread_; }
  Session& session() const noexcept { return *session_; }

 private:
  static ThreadTracking* newThread() noexcept;
  static bool wasLeft(uintptr_t here) noexcept;
  void join() noexcept;
  void forgetHalfRecord() noexcept;
  void end() noexcept {
    thread_->stage.store(ThreadTracking::kOutside, std::memory_order_release);
    t_marks.inside = 0;
    session_ = nullptr;
  }

  ThreadTracking* thread_ = nullptr;
  Session* session_ = nullptr;
};

// A part of a record in which V8 takes its locks and heap. Signals are blocked meanwhile: a jump
// out of a handler would leave the locks locked. Only for work that is done once per new place.
class AskingV8 {
 public:
  explicit AskingV8(ThreadTracking& thread) noexcept : thread_(thread) {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
    thread.stage.store(ThreadTracking::kAskingV8, std::memory_order_relaxed);
  }
  ~AskingV8() {
    thread_.stage.store(ThreadTracking::kRecording, std::memory_order_relaxed);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  AskingV8(const AskingV8&) = delete;
  AskingV8& operator=(const AskingV8&) = delete;

 private:
  ThreadTracking& thread_;
  sigset_t before_;
};

// The calling thread's isolate, from now on.
void setThreadIsolate(TrackedIsolate* isolate) noexcept;
// The calling thread's isolate has ended: its memory may be gone.
void endThreadIsolate() noexcept;

// Calls back for each thread that has a stream in `session`. One thread at a time.
void forEachThread(uint32_t session, const std::function<void(ThreadTracking&)>& callback);
// Gives up what ended threads had. One thread at a time, not in hooks.
void forgetEndedThreads(Session& session);

// The hooks that ran when it was made. Memory that new hooks can no longer find may be freed once
// isOver(). Used on the writer's thread.
class RunningHooks {
 public:
  RunningHooks();
  bool isOver();

 private:
  std::vector<size_t> threads_;  // may be inside a hook since then
};

// Stops recording in a child process after fork(), and forgets the threads that the child does not
// have.
void abandonSession() noexcept;

}  // namespace memdrift
