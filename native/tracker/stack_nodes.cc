// SPDX-License-Identifier: MIT
#include "tracker/stack_nodes.h"

#include <memory>

#include "tracker/v8_api.h"

namespace memdrift {

namespace {

// Of a frame that stands for older ones that were not walked.
constexpr uintptr_t kTruncated = 0;

// What V8's own profiler says: the functions that run, innermost first, by pc.
struct JsFrames {
  size_t count = 0;
  bool is_collecting = false;  // V8 names nobody then
  void* pcs[kMaxFrames];
};

void askV8(const TrackedIsolate& isolate, const void* frame, JsFrames& js) noexcept {
  const v8_api::RegisterState here = {__builtin_return_address(0), frame, frame, nullptr, nullptr};
  v8_api::SampleInfo info = {};
  v8_api::api()->getStackSample(isolate.isolate, here, js.pcs, kMaxFrames, &info);
  js.count = info.frames_count < kMaxFrames ? info.frames_count : kMaxFrames;
  js.is_collecting = info.vm_state == v8_api::kCollectingGarbage;
}

uint32_t sumOf(const JsFrames& js) noexcept {
  uint64_t sum = js.count;
  for (size_t i = 0; i < js.count; i++)
    sum = (sum ^ reinterpret_cast<uintptr_t>(js.pcs[i])) * 0x9e3779b97f4a7c15U;
  return static_cast<uint32_t>(sum >> 32);
}

enum class FrameKind : uint8_t { native, js, skipped };

// Which of the walked frames are JavaScript functions.
struct Labels {
  JsFrames js;
  bool is_whole = true;  // all that V8 named were found
  FrameKind kinds[kMaxFrames];
};

// V8 tells the place of a call that needs no frame of V8's own some bytes before its return.
constexpr uintptr_t kCallBytes = 64;

bool isNamed(const WalkedFrame& frame, uintptr_t named, bool is_innermost) noexcept {
  const uintptr_t pc = frame.pc;
  // Of a function that the interpreter has just left V8 may say where in the interpreter it was.
  if (frame.bytecode != 0) return named == frame.bytecode || named == pc;
  return named == pc || (is_innermost && pc - named < kCallBytes);
}

// Before functions that call native ones V8 may name these too: they are in the executable, and no
// frame has their first address.
void label(const StackWalker& frames, const WalkContext& context, Labels& labels) noexcept {
  const JsFrames& js = labels.js;
  for (unsigned i = 0; i < frames.count(); i++) {
    // While it collects garbage V8 says nothing: then what looks like a function is taken for one.
    const bool is_likely = js.is_collecting && frames.frame(i).bytecode != 0;
    labels.kinds[i] = is_likely                                             ? FrameKind::js
                      : context.v8.interpreter.contains(frames.frame(i).pc) ? FrameKind::skipped
                                                                            : FrameKind::native;
  }
  unsigned from = 0;
  labels.is_whole = true;
  for (size_t next = 0; next < js.count && labels.is_whole; next++) {
    const auto named = reinterpret_cast<uintptr_t>(js.pcs[next]);
    unsigned i = from;
    while (i < frames.count() && !isNamed(frames.frame(i), named, from == 0)) i++;
    if (i < frames.count()) {
      labels.kinds[i] = FrameKind::js;
      from = i + 1;
    } else if (!context.executable.contains(named)) {
      labels.is_whole = !frames.isWhole();
    }
  }
}

class StackBuilder {
 public:
  StackBuilder(ThreadTracking& thread, bool has_lines)
      : thread_(thread), has_lines_(has_lines && thread.isolate) {
    if (has_lines_) thread.isolate->lines.begin();
  }
  // All frames are there: lines of the places that are new are asked for.
  void end() noexcept {
    if (!has_lines_) return;
    const AskingV8 asking(thread_);
    thread_.isolate->lines.end(thread_.walker);
  }

  // A frame of code at `pc`, called from what is there already. False when there was no room for
  // the record.
  bool add(uintptr_t pc) noexcept {
    CodePlace place;
    if (!thread_.isolate || !Isolates::instance().code().find(pc, place))
      return addNode({node_, 0, pc});
    if (has_lines_) thread_.isolate->lines.add(place);
    return addNode({node_, place.code, place.offset});
  }
  bool addNative(uintptr_t pc) noexcept { return addNode({node_, 0, pc}); }
  uint32_t node() const noexcept { return node_; }

 private:
  // Numbers of code and addresses of objects mean the same for good: of one generation.
  static constexpr uint32_t kGeneration = 1;

  bool addNode(const NodeEvent& event) noexcept {
    const NodeKey key = {event.place, event.parent, event.code};
    if (const uint32_t* known = thread_.nodes.find(key, kGeneration)) {
      node_ = *known;
      return true;
    }
    const uint32_t node = thread_.stream->node(event);
    if (node == 0) return false;
    thread_.nodes.put(key, kGeneration, node);
    node_ = node;
    return true;
  }

  ThreadTracking& thread_;
  bool has_lines_;
  uint32_t node_ = 0;
};

// Code of objects: V8's is elsewhere, but for the builtins in the executable.
bool isOfObject(const Session& session, uintptr_t pc) noexcept {
  return !session.modules.executableText().contains(pc) && session.modules.find(pc);
}

constexpr uint32_t kNoRoom = UINT32_MAX;

// From the outermost frame inwards; 0 is the empty stack.
uint32_t buildStack(Recording& recording, const Labels& labels) noexcept {
  const JsFrames& js = labels.js;
  ThreadTracking& thread = recording.thread();
  const Session& session = recording.session();
  const StackWalker& frames = thread.walker;
  // While it collects garbage V8 may not be asked.
  StackBuilder stack(thread, session.has_lines && labels.is_whole && !js.is_collecting);
  if (!frames.isWhole() && !stack.addNative(kTruncated)) return kNoRoom;
  // The walk lost its way: V8's functions as they are, under the native frames that it did find.
  if (!labels.is_whole)
    for (size_t i = js.count; i-- > 0;)
      if (!stack.add(reinterpret_cast<uintptr_t>(js.pcs[i]))) return kNoRoom;
  for (unsigned i = frames.count(); i-- > 0;) {
    const WalkedFrame& frame = frames.frame(i);
    const FrameKind kind = labels.kinds[i];
    const bool is_js = kind == FrameKind::js;
    if (kind == FrameKind::skipped || (is_js && !labels.is_whole)) continue;
    if (!is_js && !session.has_native_stacks) continue;
    const uintptr_t pc = is_js && frame.bytecode != 0 ? frame.bytecode : frame.pc;
    const bool is_native = !is_js && isOfObject(session, pc);
    if (!(is_native ? stack.addNative(pc) : stack.add(pc))) return kNoRoom;
  }
  stack.end();
  return stack.node();
}

// Once per thread that runs JavaScript: V8 calls back when it may be looked into.
[[gnu::noinline]] void askForIsolate(ThreadTracking& thread) noexcept {
  const v8_api::Api* api = v8_api::api();
  if (!api) return;
  v8_api::Isolate* isolate = api->tryGetCurrent();
  if (!isolate || !api->inContext(isolate)) return;
  thread.has_asked_for_isolate = true;
  const AskingV8 asking(thread);
  Isolates::requestAttach(isolate, setThreadIsolate);
}

// Room for them with the thread: a hook's caller may have a small stack.
Labels& labelsOf(ThreadTracking& thread) noexcept {
  static_assert(sizeof(Labels) <= sizeof thread.scratch);
  return *reinterpret_cast<Labels*>(thread.scratch);
}

struct NewStack {
  uint64_t key;
  const void* frame;
};

[[gnu::noinline]] uint32_t newStack(Recording& recording, const NewStack& stack,
                                    const WalkContext& context) noexcept {
  ThreadTracking& thread = recording.thread();
  thread.counters.stacks_new++;
  thread.walker.note(stack.frame, thread.stack, context);
  if (!thread.isolate && !thread.has_asked_for_isolate && !thread.isolate_has_ended)
    askForIsolate(thread);
  Labels& labels = labelsOf(thread);
  labels.js.count = 0;
  labels.js.is_collecting = false;
  if (thread.isolate) askV8(*thread.isolate, stack.frame, labels.js);
  label(thread.walker, context, labels);
  const uint32_t node = buildStack(recording, labels);
  if (!thread.walker.isWhole()) thread.counters.stacks_deep++;
  if (!labels.is_whole)
    thread.counters.stacks_broken++;
  else if (node != kNoRoom)
    thread.stacks.put({stack.key}, thread.generation, {node, sumOf(labels.js)});
  return node == kNoRoom ? 0 : node;
}

[[gnu::noinline]] void checkStack(Recording& recording, const KnownStack& known,
                                  const void* frame) noexcept {
  ThreadTracking& thread = recording.thread();
  thread.until_check = recording.session().check_every;
  if (!thread.isolate) return;
  JsFrames& js = labelsOf(thread).js;
  askV8(*thread.isolate, frame, js);
  thread.counters.stacks_checked++;
  if (sumOf(js) != known.js_check) thread.counters.stacks_wrong++;
}

// What the tables say is of no use when addresses may mean something else.
inline void keepUp(ThreadTracking& thread, const Session& session) noexcept {
  const uint32_t code =
      thread.isolate ? thread.isolate->generation.load(std::memory_order_acquire) : 0;
  const uint32_t modules = session.modules.generation();
  if (code == thread.code_generation && modules == thread.module_generation) [[likely]]
    return;
  if (modules != thread.module_generation) thread.rules.clear();
  thread.code_generation = code;
  thread.module_generation = modules;
  thread.renew();
}

constexpr V8Code kNoCode;

}  // namespace

uint32_t currentStack(Recording& recording, const void* frame) noexcept {
  ThreadTracking& thread = recording.thread();
  Session& session = recording.session();
  if (!session.has_native_stacks && !thread.isolate) [[unlikely]] {
    // All that could be in its stack is not wanted.
    if (!thread.has_asked_for_isolate && !thread.isolate_has_ended) askForIsolate(thread);
    if (!thread.isolate) return 0;
  }
  keepUp(thread, session);
  const WalkContext context = {thread.rules, session.modules, session.modules.executableText(),
                               thread.isolate ? thread.isolate->code : kNoCode};
  const uint64_t key = thread.walker.walk(frame, thread.stack, context);
  const bool is_checked = session.check_every != 0;
  if (key == thread.last_key && thread.last_generation == thread.generation && !is_checked)
    return thread.last_node;
  const bool is_slow = thread.isolate && thread.isolate->is_slow.load(std::memory_order_relaxed);
  const KnownStack* known = is_slow ? nullptr : thread.stacks.find({key}, thread.generation);
  thread.last_generation = known ? thread.generation : 0;
  if (!known) [[unlikely]]
    return newStack(recording, {key, frame}, context);
  thread.last_key = key;
  thread.last_node = known->node;
  if (is_checked && thread.until_check-- == 0) checkStack(recording, *known, frame);
  return thread.last_node;
}

bool checkWalk(TrackedIsolate& isolate, const StackBounds& stack,
               const ModuleTable& modules) noexcept {
  const void* frame = __builtin_frame_address(0);
  const auto rules = std::make_unique<RuleCache>();
  const auto walker = std::make_unique<StackWalker>();
  const auto labels = std::make_unique<Labels>();
  rules->clear();
  walker->forget();
  const WalkContext context = {*rules, modules, modules.executableText(), isolate.code};
  walker->note(frame, stack, context);
  askV8(isolate, frame, labels->js);
  label(*walker, context, *labels);
  const bool is_right = labels->is_whole && labels->js.count > 0;
  isolate.is_slow.store(!is_right, std::memory_order_relaxed);
  return is_right;
}

}  // namespace memdrift
