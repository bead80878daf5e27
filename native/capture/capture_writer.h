// SPDX-License-Identifier: MIT
// A thread that takes what hooks left in their streams and writes it to a capture, so that all but
// the last moments can be read after any end of the process.
#pragma once

#include <atomic>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "capture/code_stream.h"
#include "capture/format.h"
#include "capture/frame_file.h"
#include "capture/thread_stream.h"
#include "errors.h"

namespace memdrift {

// Losses of a capture that its streams do not count.
struct Losses {
  uint64_t records = 0;
  uint64_t threads = 0;  // that never left a record
};

struct CaptureOptions {
  std::string path;
  std::string info;           // JSON text about the process
  uint32_t interval_ms = 10;  // between two calls of on_tick
  uint64_t max_bytes = 0;     // of the file; 0: no limit
  uint64_t sample_bytes = 0;
  StreamLimits limits;
  // All run on the writer's thread, which has its own descriptors: what one of them opens, another
  // closes.
  std::function<void()> on_start;  // first
  std::function<void()> on_tick;   // within start(), then every interval, and once at the end
  std::function<void()> on_wake;   // called each time that the writer wakes, for any reason
  std::function<void()> on_stop;   // last
  // On the writer's thread, when all streams of a round are read: names of the code that they are
  // in; empty when there is none.
  std::function<std::string()> take_code;
  // On the writer's thread: whether threads' names may be read, which opens files.
  std::function<bool()> may_open;
  // On the writer's thread, at every write.
  std::function<Losses()> losses;
  // On the writer's thread, once, where no stop() asked for it: no record is taken any more.
  std::function<void(EndReason)> on_end;
};

class CaptureWriter final : StreamSink {
 public:
  // Makes the file, on its thread. Throws as createCaptureFile, ERR_NO_MEMORY, ERR_FULL, and
  // ERR_SYSTEM when no thread can be started.
  explicit CaptureWriter(CaptureOptions options);
  ~CaptureWriter();

  StreamSet& streams() noexcept { return streams_; }

  // A frame of the process. Any thread; not in hooks.
  void add(FrameType type, const FramePayload& payload);
  // The same of a mark, with an epoch of its own: what this thread recorded before it is before it
  // in the order of events, and what comes after is after, if its stream's turn is ended then.
  void mark(std::string_view label);
  // Begins an epoch: records that any thread made before precede the frames that are added next, as
  // far as its stream's turn has ended. Callable on any thread, but not in hooks.
  void beginEpoch();

  // Starts the callbacks; returns after the first tick. Call it once.
  void start();

  // Writes what is left and the end, with this reason, and joins the thread. Once, after start().
  void stop(EndReason reason = EndReason::closed);

  // Why the capture ended before stop(): closed means that it did not. errno beside it.
  EndReason ended() const noexcept { return ended_.load(std::memory_order_acquire); }
  int errorNumber() const noexcept { return error_number_.load(std::memory_order_acquire); }

 private:
  void runThread();
  void open();
  void record();
  void write(bool is_last);
  void finish(EndReason reason);
  void check(bool is_written);
  LossPayload losses() const;
  void addFrame(FrameType type, const FramePayload& payload);

  void started(const StreamInfo& stream) override;
  void events(const StreamInfo& stream, const uint8_t* data, size_t bytes) override;
  void ended(const StreamInfo& stream) override;
  void thread(const StreamInfo& stream, ThreadState state);

  uint64_t pushEpoch();
  void push(FrameType type, const FramePayload& payload);

  struct Queued {
    FrameType type;
    std::string payload;
  };

  CaptureOptions options_;
  StreamSet streams_;
  std::optional<FrameFile> file_;  // the writer thread's, like its descriptor
  uint64_t event_bytes_ = 0;
  uint64_t told_drops_ = 0;

  std::mutex lock_;
  std::vector<Queued> queue_;

  std::atomic<EndReason> ended_{EndReason::closed};
  std::atomic<int> error_number_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<EndReason> last_reason_{EndReason::closed};  // of stop()
  // The steps of the handshake between the two threads, in this order; it ends with failed, leaving
  // or recording. std::promise would need a newer libstdc++ than the oldest supported one.
  enum class Phase : uint32_t { opening, failed, opened, leaving, starting, recording };
  void setPhase(Phase phase) noexcept;
  Phase waitWhile(Phase phase) const noexcept;
  std::atomic<Phase> phase_{Phase::opening};
  std::optional<Error> failure_;  // set in Phase::failed
  bool has_started_ = false;
  std::thread thread_;
};

// CLOCK_MONOTONIC.
uint64_t monotonicNs() noexcept;

}  // namespace memdrift
