// SPDX-License-Identifier: MIT
// The isolates of this process that are tracked: what V8 tells of their code, and when they end.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "tracker/code_table.h"
#include "tracker/line_finder.h"
#include "tracker/stack_walk.h"
#include "tracker/v8_api.h"

namespace memdrift {

// One isolate. It is never freed, so that a hook that still holds it reads nothing that is gone.
struct TrackedIsolate {
  v8_api::Isolate* isolate = nullptr;
  uint32_t number = 0;
  bool is_told = false;  // since the last start: all of its code
  // Changes when an address may have come to mean other code: stacks that were known are not then.
  std::atomic<uint32_t> generation{1};
  V8Code code;
  // The walk has not found what V8 says: V8 is asked every time.
  std::atomic<bool> is_slow{false};
  // As it said last; see askForNumbers().
  std::atomic<uint64_t> heap_total_bytes{0};
  std::atomic<uint64_t> heap_used_bytes{0};
  std::atomic<uint64_t> external_bytes{0};
  std::atomic<bool> has_numbers{false};
  std::atomic<bool> is_asked{false};
  // Of a session that wants them.
  LineFinder lines;
  std::atomic<bool> is_asked_for_lines{false};
};

// Of all isolates that are tracked; kUnknown until each has said it once.
struct HeapNumbers {
  uint64_t total_bytes = kUnknown;
  uint64_t used_bytes = kUnknown;
  uint64_t external_bytes = kUnknown;
};

// Its functions are called on the isolate's own thread, outside of hooks, but where it says so.
// One per process: V8 calls back without saying for whom.
class Isolates {
 public:
  static Isolates& instance();

  // From now on isolates can be attached, and their code is put into the table.
  void start();
  // Nothing is put into the table any more when it returns, and it is empty. The handlers of other
  // threads' isolates are taken out when these threads next run JavaScript.
  void stop();

  // Begins with this isolate, or null: there is no environment yet, or V8's functions are missing.
  // Known code is told at once, a few milliseconds of it.
  TrackedIsolate* attach(v8_api::Isolate* isolate);
  // In hooks: asks for a call of attach() when the isolate next runs JavaScript. `done` gets what
  // attach() returned.
  static void requestAttach(v8_api::Isolate* isolate, void (*done)(TrackedIsolate*));
  // Called on the isolate's thread when it ends.
  void onEnd(std::function<void(TrackedIsolate*)> callback) { on_end_ = std::move(callback); }

  // Any thread, not in hooks: has every isolate say its numbers when it next runs JavaScript. One
  // that does not run does not change them either.
  void askForNumbers();
  HeapNumbers heapNumbers() const;
  // Returns the total heap of all isolates except the calling thread's, as each last reported it;
  // kUnknown until all of them have reported.
  uint64_t otherHeapBytes() const;

  // Where records of a lines frame go; null: nowhere, and none is on its way when it returns.
  void onLines(std::function<void(const std::string& records)> callback);
  // Any thread, not in hooks: has the lines of all isolates told when they next run JavaScript, and
  // those of the calling thread's at once. True when there are none left to be told.
  bool askForLines();
  uint64_t missedLines() const;

  uint32_t count() const;
  CodeTable& code() noexcept { return code_; }

 private:
  static void onCode(const v8_api::JitCodeEvent* event);
  static void onInterrupt(v8_api::Isolate* isolate, void* data);
  static void onCleanup(void* data);
  static void onInterruptForNumbers(v8_api::Isolate* isolate, void* data);
  static void onInterruptToStop(v8_api::Isolate* isolate, void* data);
  static void onInterruptForLines(v8_api::Isolate* isolate, void* data);
  void tellLines(TrackedIsolate& isolate);
  void addCode(const v8_api::JitCodeEvent& event, TrackedIsolate& isolate);
  TrackedIsolate* find(const v8_api::Isolate* isolate) const;
  TrackedIsolate* unused();
  void noteInterpreter(const v8_api::JitCodeEvent& event, TrackedIsolate& isolate);

  mutable std::mutex lock_;
  bool is_on_ = false;
  std::function<void(TrackedIsolate*)> on_end_;
  std::mutex lines_lock_;  // held while `on_lines_` runs
  std::function<void(const std::string&)> on_lines_;
  std::vector<std::unique_ptr<TrackedIsolate>> all_;
  std::vector<TrackedIsolate*> attached_;
  uint32_t last_number_ = 0;
  CodeTable code_;
};

}  // namespace memdrift
