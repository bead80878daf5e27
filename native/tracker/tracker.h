// SPDX-License-Identifier: MIT
// Tracks this process into a capture: hooks in, thread by thread, until stop.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "analysis/child_peaks.h"
#include "capture/capture_writer.h"
#include "capture/js_heap_stream.h"
#include "tracker/got_patch.h"
#include "tracker/own_children.h"
#include "tracker/own_memory.h"
#include "tracker/own_status.h"
#include "tracker/own_stderr.h"
#include "tracker/session.h"

namespace memdrift {

struct TrackerOptions {
  std::string path;
  std::string info;  // JSON text about the process
  bool native_stacks = true;
  bool has_child_arguments = true;  // command lines of children are recorded
  bool lines = false;               // exact ones, and inlined functions
  uint32_t interval_ms = 10;        // of the memory series
  uint64_t max_bytes = 0;           // of the capture; 0: no limit
  uint64_t sample_bytes = 0;  // between two samples, on average; 0: every allocation is recorded
  uint32_t check_every = 0;   // stacks that are compared with what V8 says; 0: none
};

// What is known of a tracker's own work.
struct TrackerReport {
  StackCounters stacks;
  uint64_t patched_slots = 0;
  uint32_t isolates = 0;
  uint64_t lines_missed = 0;  // stacks whose lines V8 could not be asked for, or did not tell
};

// One at a time in a process. All functions on the thread of the environment that made it. It ends
// by itself before the program installs a filter of system calls that may end it for a call of
// ours.
class Tracker {
 public:
  // Begins. Throws ERR_STATE (another one runs), ERR_EXISTS and what else keeps a file from being
  // made, ERR_UNSUPPORTED (not Node for x86-64 with glibc).
  explicit Tracker(TrackerOptions options);
  // stop()s; in a child after fork, where the writer does not live, only lets go.
  ~Tracker();

  // True if hooks see what `allocate` does, which returns a block of as many bytes from the
  // executable's own allocator.
  bool sees(const std::function<const void*(size_t bytes)>& allocate) const;
  // stop()s, and removes the file.
  void discard();

  void mark(const std::string& label);
  // What V8 said of its heap just now.
  void addJsHeap(JsHeapProfile profile);
  // Why the capture ended by itself, in words; empty while it goes on.
  std::string ended() const;
  // Every word as it was, the file whole, the thread gone. Again without effect.
  void stop();
  TrackerReport report();
  // Returns the peaks of the processes that this one started. Valid after stop().
  const ChildPeaks& childPeaks() const { return child_peaks_; }
  const OwnStderr& standardError() const { return stderr_; }

 private:
  void stop(EndReason why);
  void begin();
  void tick();
  void addModules();
  void addMemory();
  // Also says what is resident by whom, when it is time for it.
  void lookAround(MemoryPayload& payload);
  void endLooks();
  void lookAtChildren(uint64_t now_ns);
  void sumUp();
  void takeLines();
  void onEnd(EndReason reason);
  std::string endedByItself() const;
  static void objectsChanged();
  static void closeBeforeFilter(unsigned long mode, const void* filter);
  void lookForObjects(uint64_t now_ns);
  void freeOldModules();

  TrackerOptions options_;
  GotPatch patch_;
  std::unique_ptr<Session> session_ = std::make_unique<Session>();  // while it runs
  std::unique_ptr<CaptureWriter> writer_;
  uint64_t next_look_ns_ = 0;
  uint64_t next_pass_ns_ = 0;
  // An object that never becomes ready costs a pass per second from then on, not one per tick.
  uint64_t frequent_until_ns_ = 0;
  std::optional<RunningHooks> running_;  // since retired_count_ states of the modules were retired
  size_t retired_count_ = 0;
  std::unique_ptr<OwnStatus> own_status_;  // the writer's, like the next
  std::unique_ptr<OwnMemory> own_memory_;
  std::unique_ptr<OwnChildren> own_children_;
  uint64_t next_residency_ns_ = 0;
  bool has_ended_looks_ = false;
  uint64_t next_children_ns_ = 0;
  ChildPeaks child_peaks_;
  OwnStderr stderr_;
  uint64_t next_numbers_ns_ = 0;  // of V8
  TrackerReport report_;
  std::string ended_;  // once it is stopped
  pid_t pid_;
  std::atomic<bool> runs_{true};
  std::atomic<uint32_t> lost_threads_{0};  // in the middle of a record when it stopped
  std::atomic<bool> is_stopping_{false};   // no object is patched any more
};

}  // namespace memdrift
