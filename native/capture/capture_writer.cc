// SPDX-License-Identifier: MIT
#include "capture/capture_writer.h"

#include <elf.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <system_error>

#include "capture/descriptors.h"
#include "errors.h"
#include "quiet_thread.h"

namespace memdrift {

namespace {

// What a SIGKILL may cost is at most this, and the time that one write takes.
constexpr uint64_t kWriteIntervalNs = 50'000'000;

uint64_t clockNs(clockid_t clock) noexcept {
  timespec now;
  clock_gettime(clock, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
}

CaptureHeader headerOf(const CaptureOptions& options) {
  CaptureHeader header = {};
  header.start_realtime_ns = clockNs(CLOCK_REALTIME);
  header.start_monotonic_ns = clockNs(CLOCK_MONOTONIC);
  header.sample_bytes = options.sample_bytes;
  header.pid = static_cast<uint32_t>(getpid());
  header.page_bytes = static_cast<uint32_t>(sysconf(_SC_PAGESIZE));
  header.machine = EM_X86_64;
  return sealHeader(header);
}

std::string threadName(uint32_t tid) {
  const std::string path = "/proc/self/task/" + std::to_string(tid) + "/comm";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";  // it has ended already
  char text[64];
  const ssize_t size = read(fd, text, sizeof text);
  close(fd);
  std::string name(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  if (!name.empty() && name.back() == '\n') name.pop_back();
  return name;
}

}  // namespace

uint64_t monotonicNs() noexcept { return clockNs(CLOCK_MONOTONIC); }

CaptureWriter::CaptureWriter(CaptureOptions options)
    : options_(std::move(options)), streams_(options_.limits) {
  try {
    thread_ = startQuietThread([this] { runThread(); });
  } catch (const std::system_error& error) {
    throw Error::fromErrno("pthread_create", "the capture's writer", error.code().value());
  }
  if (waitWhile(Phase::opening) == Phase::opened) return;
  thread_.join();
  throw *failure_;
}

void CaptureWriter::setPhase(Phase phase) noexcept {
  phase_.store(phase, std::memory_order_release);
  phase_.notify_all();
}

CaptureWriter::Phase CaptureWriter::waitWhile(Phase phase) const noexcept {
  phase_.wait(phase, std::memory_order_acquire);
  return phase_.load(std::memory_order_acquire);
}

void CaptureWriter::start() {
  has_started_ = true;
  setPhase(Phase::starting);
  waitWhile(Phase::starting);
}

CaptureWriter::~CaptureWriter() {
  if (!thread_.joinable()) return;
  if (has_started_) {
    stop();
  } else {
    setPhase(Phase::leaving);
    thread_.join();
  }
}

void CaptureWriter::open() {
  const bool is_separate = separateDescriptors();
  file_.emplace(createCaptureFile(options_.path), options_.max_bytes);
  if (!is_separate) file_->guard(options_.path);
  file_->begin(headerOf(options_));
  file_->add({FrameType::info}, {{}, options_.info});
  if (file_->flush()) return;
  unlink(options_.path.c_str());
  throw Error::fromErrno("write", options_.path, file_->errorNumber());
}

void CaptureWriter::runThread() {
  pthread_setname_np(pthread_self(), "memdrift-writer");
  if (options_.on_start) options_.on_start();
  try {
    open();
  } catch (const Error& error) {
    failure_ = error;
  } catch (const std::exception& error) {
    failure_.emplace(ErrorCode::ERR_SYSTEM, options_.path + ": " + error.what());
  }
  if (failure_) {
    file_.reset();
    setPhase(Phase::failed);
    return;
  }
  setPhase(Phase::opened);
  if (waitWhile(Phase::opened) == Phase::starting)
    record();
  else
    unlink(options_.path.c_str());
  if (options_.on_stop) options_.on_stop();
  file_.reset();
}

void CaptureWriter::push(FrameType type, const FramePayload& payload) {
  queue_.push_back({type, std::string(payload.fixed).append(payload.rest)});
}

uint64_t CaptureWriter::pushEpoch() {
  const EpochPayload epoch = {streams_.raiseEpoch(), monotonicNs()};
  push(FrameType::epoch, payloadOf(epoch));
  return epoch.time_ns;
}

void CaptureWriter::add(FrameType type, const FramePayload& payload) {
  const std::lock_guard hold(lock_);
  push(type, payload);
}

void CaptureWriter::beginEpoch() {
  const std::lock_guard hold(lock_);
  pushEpoch();
}

void CaptureWriter::mark(std::string_view label) {
  const std::lock_guard hold(lock_);
  const uint64_t time_ns = pushEpoch();
  push(FrameType::marker, payloadOf(MarkerPayload{time_ns}, label));
}

void CaptureWriter::stop(EndReason reason) {
  last_reason_ = reason;
  stopping_.store(true, std::memory_order_release);
  streams_.wake();
  thread_.join();
}

void CaptureWriter::record() {
  uint64_t next_write_ns = monotonicNs();
  uint64_t next_tick_ns = next_write_ns + options_.interval_ms * 1'000'000ULL;
  if (options_.on_tick) options_.on_tick();
  setPhase(Phase::recording);
  while (!stopping_.load(std::memory_order_acquire)) {
    const bool has_full_chunk = streams_.wait(options_.interval_ms);
    const uint64_t now_ns = monotonicNs();
    if (ended() != EndReason::closed) continue;
    if (options_.on_wake) options_.on_wake();
    if (now_ns >= next_tick_ns) {
      next_tick_ns = now_ns + options_.interval_ms * 1'000'000ULL;
      if (options_.on_tick) options_.on_tick();
    }
    if (has_full_chunk || now_ns >= next_write_ns) {
      next_write_ns = now_ns + kWriteIntervalNs;
      write(false);
    }
  }
  if (ended() != EndReason::closed) return;
  if (options_.on_tick) options_.on_tick();
  write(true);
}

// One round: all that was recorded before it began is in the file when it ends.
void CaptureWriter::write(bool is_last) {
  // Before the streams, so that the events before a mark are in the file before it. The epoch with
  // it: a mark in between would have the lower epoch of this round, and be in the file after it.
  std::vector<Queued> queue;
  EpochPayload epoch = {};
  {
    const std::lock_guard hold(lock_);
    queue.swap(queue_);
    epoch = {streams_.raiseEpoch(), monotonicNs()};
  }
  streams_.drain(*this);
  // After the streams, so that the code of every stack that they name is in the file too.
  const std::string code = options_.take_code ? options_.take_code() : "";
  for (const Queued& one : queue) addFrame(one.type, {{}, one.payload});
  if (!code.empty()) addFrame(FrameType::code, {{}, code});
  addFrame(FrameType::epoch, payloadOf(epoch));
  // A killed process writes no end frame.
  if (const LossPayload lost = losses(); !is_last && lost.dropped_records != told_drops_) {
    told_drops_ = lost.dropped_records;
    addFrame(FrameType::losses, payloadOf(lost));
  }
  if (is_last)
    finish(last_reason_);
  else
    check(file_->flush());
}

void CaptureWriter::addFrame(FrameType type, const FramePayload& payload) {
  check(file_->add({type}, payload));
}

void CaptureWriter::check(bool is_written) {
  if (is_written || ended() != EndReason::closed) return;
  finish(file_->isFull() ? EndReason::max_bytes : EndReason::write_failed);
}

LossPayload CaptureWriter::losses() const {
  const Losses more = options_.losses ? options_.losses() : Losses{};
  return {monotonicNs(), streams_.dropped() + more.records, more.threads};
}

void CaptureWriter::finish(EndReason reason) {
  streams_.discard();
  EndPayload end = {};
  end.time_ns = monotonicNs();
  end.event_bytes = event_bytes_;
  const LossPayload lost = losses();
  end.dropped_records = lost.dropped_records;
  end.lost_threads = lost.lost_threads;
  end.own_bytes = kUnknown;
  end.stream_count = streams_.streamCount();
  end.reason = static_cast<uint32_t>(reason);
  if (reason != EndReason::write_failed && !file_->addEnd(end)) reason = EndReason::write_failed;
  error_number_.store(file_->errorNumber(), std::memory_order_release);
  ended_.store(reason, std::memory_order_release);
  if (reason != last_reason_ && options_.on_end) options_.on_end(reason);
}

void CaptureWriter::started(const StreamInfo& stream) { thread(stream, ThreadState::started); }

void CaptureWriter::ended(const StreamInfo& stream) { thread(stream, ThreadState::ended); }

void CaptureWriter::thread(const StreamInfo& stream, ThreadState state) {
  const ThreadPayload payload = {monotonicNs(), stream.tid, static_cast<uint32_t>(state)};
  const bool is_named =
      state == ThreadState::started && (!options_.may_open || options_.may_open());
  const std::string name = is_named ? threadName(stream.tid) : "";
  check(file_->add({FrameType::thread, stream.index}, payloadOf(payload, name)));
}

void CaptureWriter::events(const StreamInfo& stream, const uint8_t* data, size_t bytes) {
  if (ended() != EndReason::closed) return;
  const std::string_view payload(reinterpret_cast<const char*>(data), bytes);
  check(file_->add({FrameType::events, stream.index}, {{}, payload}));
  event_bytes_ += bytes;
}

}  // namespace memdrift
