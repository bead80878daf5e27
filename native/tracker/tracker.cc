// SPDX-License-Identifier: MIT
#include "tracker/tracker.h"

#include <dlfcn.h>
#include <pthread.h>
#include <unistd.h>

#include <cstring>

#include "capture/descriptors.h"
#include "errors.h"
#include "tracker/call_filter.h"
#include "tracker/control_socket.h"
#include "tracker/hooks.h"
#include "tracker/isolates.h"
#include "tracker/stack_nodes.h"
#include "tracker/thread_stacks.h"

namespace memdrift {

namespace {

// The one that runs. Who looks at it from another thread holds the lock, so that it is not gone.
std::atomic<Tracker*> g_tracker{nullptr};
std::mutex g_tracker_lock;
// Held by each use of the running tracker that is not a hook's or the writer's: a filter of system
// calls ends it on any thread. The writer never takes it, since stop() waits for the writer.
std::recursive_mutex g_use_lock;
std::atomic<uint32_t> g_session_count{0};

// How often threads that ended are looked for.
constexpr uint64_t kLookIntervalNs = 100'000'000;
// How often to look for words that were being bound during the last pass.
constexpr uint64_t kPassIntervalNs = 1'000'000'000;
// This many retired states of the modules are kept before it is checked whether hooks still read
// them.
constexpr size_t kMostRetiredModules = 16;

// No JavaScript runs in it: V8 keeps its heap from copies of the process (MADV_DONTFORK).
void inChildAfterFork() {
  abandonSession();
  g_tracker.store(nullptr);
}

void prepareForFork() {
  static const int is_prepared = pthread_atfork(nullptr, nullptr, inChildAfterFork);
  if (is_prepared != 0) throw Error::fromErrno("pthread_atfork", "this process", is_prepared);
}

// Made once: a hook may look into it even after its session.
SampledBlocks& sampledBlocks() {
  static auto* blocks = new SampledBlocks;
  return *blocks;
}

// Waits until other threads have run JavaScript and `isDone`, for at most 0.1 s.
void waitFor(bool (*isDone)()) {
  constexpr int kMostWaits = 100;
  for (int waits = 0; !isDone() && waits < kMostWaits; waits++) usleep(1000);
}

const char* reasonInWords(EndReason reason) {
  switch (reason) {
    case EndReason::max_bytes:
      return "it has reached the size that it may have";
    case EndReason::calls_forbidden:
      return "the program has forbidden system calls that the tracker makes";
    default:
      return "it could not be written";
  }
}

}  // namespace

Tracker::Tracker(TrackerOptions options)
    : options_(std::move(options)), patch_(interposedFunctions()), pid_(getpid()) {
  if (dlsym(RTLD_DEFAULT, "__asan_init"))
    throw Error(
        ErrorCode::ERR_UNSUPPORTED,
        "this process runs under AddressSanitizer, whose allocator takes no hooks beside its "
        "own; track a build without it");
  const std::lock_guard use(g_use_lock);
  Tracker* none = nullptr;
  if (!g_tracker.compare_exchange_strong(none, this))
    throw Error(ErrorCode::ERR_STATE,
                "this process is being tracked already, by memdrift run, memdrift attach or "
                "another Tracker: stop that one first, or use mark() alone");
  try {
    prepareForFork();
    keepPageFromCopies();
    begin();
  } catch (...) {
    g_tracker.store(nullptr);
    throw;
  }
}

void Tracker::begin() {
  const NoReentry guard;
  CaptureOptions capture;
  capture.path = options_.path;
  capture.info = options_.info;
  capture.interval_ms = options_.interval_ms;
  capture.max_bytes = options_.max_bytes;
  capture.sample_bytes = options_.sample_bytes;
  capture.on_start = [] { t_marks.inside = kInsideForGood; };
  capture.on_tick = [this] { tick(); };
  capture.on_wake = [this] { own_memory_->keepUp(); };
  capture.on_stop = [this] {
    own_memory_.reset();
    own_status_.reset();
  };
  capture.may_open = [this] { return own_status_ && !own_status_->isConfined(); };
  capture.take_code = [] {
    std::string records;
    Isolates::instance().code().takeUsed([&](const CodeEvent& event) { putCode(event, records); });
    return records;
  };
  capture.losses = [this] { return Losses{unstreamedDrops(), lost_threads_.load()}; };
  capture.on_end = [this](EndReason reason) { onEnd(reason); };
  writer_ = std::make_unique<CaptureWriter>(std::move(capture));
  session_->streams = &writer_->streams();
  session_->number = g_session_count.fetch_add(1) + 1;
  session_->has_native_stacks = options_.native_stacks;
  session_->has_lines = options_.lines;
  session_->check_every = options_.check_every;
  session_->sample_bytes = options_.sample_bytes;
  if (options_.sample_bytes != 0) session_->samples = &sampledBlocks();
  prepareThreadStacks();
  addModules();
  // Its callbacks use all of the above.
  writer_->start();
  openSession(session_.get());
  Isolates& isolates = Isolates::instance();
  isolates.onEnd([](TrackedIsolate*) { endThreadIsolate(); });
  isolates.onLines(
      [this](const std::string& records) { writer_->add(FrameType::lines, {{}, records}); });
  isolates.start();
  const v8_api::Api* api = v8_api::api();
  v8_api::Isolate* current = api ? api->tryGetCurrent() : nullptr;
  if (TrackedIsolate* own = isolates.attach(current)) {
    setThreadIsolate(own);
    if (ThreadTracking* thread = t_marks.tracking)
      checkWalk(*own, thread->stack, session_->modules);
  }
  onObjectsChanged(objectsChanged);
  beforeFilter(closeBeforeFilter);
  patch_.apply();
}

Tracker::~Tracker() {
  if (!isCopy() && (!runs_ || getpid() == pid_)) {
    stop();
    return;
  }
  // The thread of the parent is not here to be joined, nor to give up a lock that it held.
  (void)writer_.release();
  (void)own_memory_.release();
  (void)own_status_.release();
  (void)session_.release();
}

void Tracker::stop() { stop(EndReason::closed); }

void Tracker::stop(EndReason why) {
  // In a copy of the process no thread may be left that gives the lock back.
  if (isCopy()) return;
  const std::lock_guard use(g_use_lock);
  // Once it has stopped it makes no system call, not even getpid(): a filter may forbid any.
  if (!runs_ || getpid() != pid_) return;
  runs_ = false;
  const NoReentry guard;
  {
    const std::lock_guard hold(g_tracker_lock);
    onObjectsChanged(nullptr);
    beforeFilter(nullptr);
    is_stopping_ = true;
    patch_.restore();
  }
  sumUp();
  lost_threads_ = closeSession();
  const bool has_lines = session_->has_lines;
  if (has_lines) takeLines();
  Isolates::instance().onLines(nullptr);
  // The writer still asks for names of code.
  writer_->stop(why);
  const bool is_held = lost_threads_ != 0;
  if (session_->samples && !is_held) session_->samples->clear();
  // A lazy binding that was under way during the first restore() may have stored a hook since.
  patch_.restore();
  ended_ = endedByItself();
  // A thread that is still in a record may write to it at any time.
  if (is_held) (void)writer_.release();
  writer_.reset();
  Isolates::instance().stop();
  // To end V8's profiler takes calls that most programs never make.
  if (has_lines && why == EndReason::calls_forbidden)
    waitFor([] { return Isolates::instance().count() == 0; });
  // Otherwise no hook uses it any more; freed now, since the tracker may live until V8 collects its
  // handle.
  if (is_held) (void)session_.release();
  session_.reset();
  g_tracker.store(nullptr);
}

// What was asked for and not yet told. Threads that do not run JavaScript now are not waited for.
void Tracker::takeLines() {
  waitFor([] { return Isolates::instance().askForLines(); });
}

bool Tracker::sees(const std::function<const void*(size_t bytes)>& allocate) const {
  const std::lock_guard use(g_use_lock);
  if (!runs_) return false;
  constexpr int64_t kBytes = 4096;
  const int64_t before = t_marks.until_sample;
  const void* block = allocate(kBytes);
  if (options_.sample_bytes != 0)
    return before - t_marks.until_sample >= kBytes || t_marks.until_sample > before;
  const ThreadTracking* thread = t_marks.tracking;
  return thread && thread->session == session_->number && thread->stream &&
         thread->stream->hasRecent(reinterpret_cast<uintptr_t>(block));
}

void Tracker::discard() {
  stop();
  unlink(options_.path.c_str());
}

// On the thread that is about to install the filter. Afterwards no call of ours is left to make.
void Tracker::closeBeforeFilter(unsigned long mode, const void* filter) {
  const std::lock_guard use(g_use_lock);
  Tracker* tracker = g_tracker.load(std::memory_order_acquire);
  // A child of vfork() shares this memory, but not its filters.
  if (!tracker || tracker->pid_ != getpid() || !punishesTracker(mode, filter)) return;
  tracker->stop(EndReason::calls_forbidden);
  removeControlSocket();
}

void Tracker::mark(const std::string& label) {
  const std::lock_guard use(g_use_lock);
  // The program did not stop it.
  if (!writer_ && !ended_.empty()) return;
  if (!writer_) throw Error(ErrorCode::ERR_STATE, "the tracker was stopped before the mark");
  {
    const NoReentry guard;
    writer_->mark(label);
  }
  if (const Recording recording; recording) recording.thread().stream->endTurn();
}

void Tracker::addJsHeap(JsHeapProfile profile) {
  const std::lock_guard use(g_use_lock);
  if (!writer_) return;
  const NoReentry guard;
  profile.time_ns = monotonicNs();
  profile.totals.others_bytes = Isolates::instance().otherHeapBytes();
  std::string payload;
  putJsHeap(profile, payload);
  // Of a heap that is too much for one frame nothing is said.
  if (payload.size() <= kMaxPayloadBytes) writer_->add(FrameType::js_heap, {{}, payload});
}

std::string Tracker::ended() const {
  const std::lock_guard use(g_use_lock);
  return writer_ ? endedByItself() : ended_;
}

// On any thread; stop() may hold the lock.
std::string Tracker::endedByItself() const {
  const EndReason reason = writer_->ended();
  if (reason == EndReason::closed) return "";
  std::string text = reasonInWords(reason);
  if (writer_->errorNumber() != 0) text += std::string(": ") + strerror(writer_->errorNumber());
  return text;
}

TrackerReport Tracker::report() {
  const std::lock_guard use(g_use_lock);
  if (runs_) sumUp();
  return report_;
}

void Tracker::sumUp() {
  report_ = {};
  report_.patched_slots = patch_.slotCount();
  report_.isolates = Isolates::instance().count();
  report_.lines_missed = Isolates::instance().missedLines();
  forEachThread(session_->number, [this](ThreadTracking& thread) {
#define MEMDRIFT_ADD(name) report_.stacks.name += thread.counters.name;
    MEMDRIFT_STACK_COUNTERS(MEMDRIFT_ADD)
#undef MEMDRIFT_ADD
  });
}

// On the writer's thread.
void Tracker::tick() {
  if (!own_memory_) {
    own_status_ = std::make_unique<OwnStatus>();
    own_memory_ = std::make_unique<OwnMemory>(session_->mappings);
    own_children_ = std::make_unique<OwnChildren>(options_.has_child_arguments);
  }
  // The last row says everything.
  if (is_stopping_) next_residency_ns_ = next_children_ns_ = 0;
  addMemory();
  if (is_stopping_) return;
  const uint64_t now_ns = monotonicNs();
  lookForObjects(now_ns);
  if (now_ns < next_look_ns_) return;
  next_look_ns_ = now_ns + kLookIntervalNs;
  forgetEndedThreads(*session_);
  if (session_->has_lines) Isolates::instance().askForLines();
}

// After a dlopen or dlclose, on the thread that made it. The writer's next tick looks as well, so
// that nothing is lost where another thread holds the lock.
void Tracker::objectsChanged() {
  const NoReentry guard;
  const std::unique_lock hold(g_tracker_lock, std::try_to_lock);
  if (!hold) return;
  Tracker* tracker = g_tracker.load(std::memory_order_acquire);
  if (!tracker || tracker->is_stopping_) return;
  tracker->addModules();
  if (!tracker->patch_.bindsNewObjects()) tracker->patch_.apply();
}

// On the writer's thread: finds objects that no hooked dlopen loaded, and words that were being
// bound or relocated during the last pass.
void Tracker::lookForObjects(uint64_t now_ns) {
  const bool is_stale = patch_.isStale();
  if (is_stale) frequent_until_ns_ = now_ns + kPassIntervalNs;
  const bool is_soon = now_ns < frequent_until_ns_ && patch_.hasUnready();
  if (now_ns >= next_pass_ns_ || is_stale || is_soon) {
    next_pass_ns_ = now_ns + kPassIntervalNs;
    const std::lock_guard hold(g_tracker_lock);
    if (is_stopping_) return;
    addModules();
    patch_.apply();
  }
  freeOldModules();
}

void Tracker::freeOldModules() {
  if (running_ && running_->isOver()) {
    const std::lock_guard hold(g_tracker_lock);
    session_->modules.freeRetired(retired_count_);
    running_.reset();
  }
  if (running_) return;
  {
    const std::lock_guard hold(g_tracker_lock);
    retired_count_ = session_->modules.retiredCount();
  }
  if (retired_count_ >= kMostRetiredModules) running_.emplace();
}

void Tracker::addModules() {
  session_->modules.update([this](const Module& module) {
    ModulePayload payload = {};
    payload.start_address = module.text.begin;
    payload.end_address = module.text.end;
    payload.file_offset = module.text_file_offset;
    payload.time_ns = monotonicNs();
    payload.path_bytes = static_cast<uint32_t>(module.path.size());
    payload.build_id_bytes = static_cast<uint32_t>(module.build_id.size());
    writer_->add(FrameType::module, payloadOf(payload, module.path + module.build_id));
  });
}

// On the writer's thread: the program goes on without us, and its user is told once.
void Tracker::onEnd(EndReason) {
  {
    const std::lock_guard hold(g_tracker_lock);
    is_stopping_ = true;
    patch_.restore();
  }
  const std::string text = "memdrift: the capture of process " + std::to_string(pid_) +
                           " ends: " + endedByItself() + ". The program goes on untracked.\n";
  // A filter may end the process for these calls.
  if (!own_status_->isConfined()) writeToStderr(text);
}

}  // namespace memdrift
