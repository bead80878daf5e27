// SPDX-License-Identifier: MIT
// Segments and flags as JavaScript sees them.
#include <sys/mman.h>

#include <chrono>
#include <memory>
#include <string>
#include <utility>

#include "door/doors.h"
#include "door/translate.h"
#include "door/views.h"
#include "shm/flag.h"
#include "shm/flag_waiter.h"
#include "shm/segment.h"

namespace memdrift::door {

namespace {

constexpr napi_type_tag kSegmentTag = {0x6d656d6472696674, 0x7365676d656e7431};
constexpr napi_type_tag kFlagTag = {0x6d656d6472696674, 0x666c616730303031};

// An attachment with at most one ArrayBuffer over its data. Detached before it is unmapped.
struct SegmentHandle {
  std::unique_ptr<Segment> segment;
  std::shared_ptr<Mapping> mapping;
  std::unique_ptr<SharedView> view;

  Segment& open() const {
    if (segment) return *segment;
    throw Error(ErrorCode::ERR_CLOSED, "the segment was closed; open it again with Segment.open");
  }

  void close() {
    leaveView();
    mapping.reset();
    segment.reset();
  }

  // The memory stays mapped for a buffer that it was moved to, and for work on a pool.
  void leaveView() {
    if (view) view->keep(mapping);
    view.reset();
  }

  ~SegmentHandle() { close(); }
};

SegmentHandle& segmentOf(const Napi::CallbackInfo& info) {
  return fromHandle<SegmentHandle>(info[0], kSegmentTag, "segment");
}

Napi::Value fromSegment(Napi::Env env, std::unique_ptr<Segment> segment) {
  auto handle = std::make_unique<SegmentHandle>();
  handle->segment = std::move(segment);
  return toHandle(env, std::move(handle), kSegmentTag);
}

Napi::Value segmentCreate(const Napi::CallbackInfo& info) {
  const int64_t size_bytes = integerArgument(info[1], "sizeBytes");
  if (size_bytes < 1) throw Error(ErrorCode::ERR_INVALID, "sizeBytes is not positive");
  // All of it: a segment has no create() that could say later that there is no room.
  return fromSegment(info.Env(),
                     Segment::create({stringArgument(info[0], "name"), SegmentKind::kPlain,
                                      static_cast<uint64_t>(size_bytes),
                                      [](Segment& made) { made.reserveAll(); }}));
}

Napi::Value segmentOpen(const Napi::CallbackInfo& info) {
  return fromSegment(info.Env(),
                     Segment::open(stringArgument(info[0], "name"), SegmentKind::kPlain));
}

Napi::Value segmentBuffer(const Napi::CallbackInfo& info) {
  SegmentHandle& handle = segmentOf(info);
  Segment& segment = handle.open();
  if (!handle.mapping) {
    // Its maker did; where somebody has punched holes since, a touch could be SIGBUS.
    segment.reserveAll();
    handle.mapping = std::make_shared<Mapping>(MappingRequest{segment.fd(), kSegmentHeaderBytes,
                                                              segment.dataBytes(),
                                                              PROT_READ | PROT_WRITE, MAP_SHARED});
  }
  if (handle.view) {
    const Napi::Value buffer = handle.view->buffer();
    if (!buffer.IsEmpty() && !handle.view->isMoved()) return buffer;
    handle.leaveView();
  }
  handle.view = std::make_unique<SharedView>(
      info.Env(), SharedMemory{handle.mapping->data(), segment.dataBytes()},
      std::function<void()>());
  return handle.view->buffer();
}

Napi::Value segmentInfo(const Napi::CallbackInfo& info) {
  const Segment& segment = segmentOf(info).open();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", segment.name());
  result.Set("path", segment.path());
  result.Set("sizeBytes", static_cast<double>(segment.dataBytes()));
  result.Set("residentBytes", static_cast<double>(segment.residentBytes()));
  return result;
}

Napi::Value segmentClose(const Napi::CallbackInfo& info) {
  segmentOf(info).close();
  return info.Env().Undefined();
}

Napi::Value segmentUnlink(const Napi::CallbackInfo& info) {
  Segment::unlink(stringArgument(info[0], "name"));
  return info.Env().Undefined();
}

Napi::Value segmentSweep(const Napi::CallbackInfo& info) {
  return toStringArray(info.Env(), Segment::sweep());
}

const char* kindName(SegmentKind kind) {
  switch (kind) {
    case SegmentKind::kFlag:
      return "flag";
    case SegmentKind::kStore:
      return "store";
    default:
      return "segment";
  }
}

Napi::Value segmentList(const Napi::CallbackInfo& info) {
  const std::vector<SegmentInfo> infos = Segment::list();
  Napi::Array result = Napi::Array::New(info.Env(), infos.size());
  for (uint32_t i = 0; i < infos.size(); i++) {
    Napi::Object one = Napi::Object::New(info.Env());
    one.Set("name", infos[i].name);
    one.Set("path", infos[i].path);
    one.Set("kind", kindName(infos[i].kind));
    one.Set("inode", Napi::BigInt::New(info.Env(), infos[i].inode));
    one.Set("sizeBytes", static_cast<double>(infos[i].data_bytes));
    one.Set("residentBytes", static_cast<double>(infos[i].resident_bytes));
    result.Set(i, one);
  }
  return result;
}

struct FlagHandle {
  std::shared_ptr<Flag> flag;
};

FlagHandle& flagHandleOf(const Napi::CallbackInfo& info) {
  return fromHandle<FlagHandle>(info[0], kFlagTag, "flag");
}

Flag& flagOf(const Napi::CallbackInfo& info) {
  const FlagHandle& handle = flagHandleOf(info);
  if (handle.flag) return *handle.flag;
  throw Error(ErrorCode::ERR_CLOSED, "the flag was closed; open it again with Flag.open");
}

Napi::Value fromFlag(Napi::Env env, std::shared_ptr<Flag> flag) {
  return toHandle(env, std::make_unique<FlagHandle>(FlagHandle{std::move(flag)}), kFlagTag);
}

Napi::Value flagCreate(const Napi::CallbackInfo& info) {
  return fromFlag(info.Env(), Flag::create(stringArgument(info[0], "name")));
}

Napi::Value flagOpen(const Napi::CallbackInfo& info) {
  return fromFlag(info.Env(), Flag::open(stringArgument(info[0], "name")));
}

Napi::Value flagPost(const Napi::CallbackInfo& info) {
  flagOf(info).post();
  return info.Env().Undefined();
}

Napi::Value flagTryWait(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), flagOf(info).tryWait());
}

}  // namespace

// The waits of one environment: the waiter's thread, and the way back to the event loop.
class FlagWaits {
 public:
  explicit FlagWaits(Napi::Env env)
      : settle_(Napi::ThreadSafeFunction::New(env, Napi::Function(), "memdrift flag", 0, 1)) {
    settle_.Unref(env);
  }

  // Runs before the function that it calls is gone; Node runs hooks last in, first out.
  void stop() {
    waiter_.reset();
    settle_.Release();
  }

  Napi::Promise wait(Napi::Env env, std::shared_ptr<Flag> flag, double timeout_ms) {
    auto deferred = std::make_shared<Napi::Promise::Deferred>(env);
    const auto timeout = std::chrono::duration<double, std::milli>(timeout_ms);
    const auto deadline =
        FlagWaiter::Clock::now() + std::chrono::duration_cast<FlagWaiter::Clock::duration>(timeout);
    waiter_->wait(std::move(flag), deadline, [this, deferred](WaitResult result) {
      settle_.NonBlockingCall([this, deferred, result](Napi::Env on, Napi::Function) {
        if (--pending_ == 0) settle_.Unref(on);
        finish(on, *deferred, result);
      });
    });
    if (pending_++ == 0) settle_.Ref(env);
    return deferred->Promise();
  }

  void cancel(const Flag* flag) { waiter_->cancel(flag); }

 private:
  static void finish(Napi::Env env, const Napi::Promise::Deferred& deferred, WaitResult result) {
    if (result != WaitResult::kCancelled)
      return deferred.Resolve(Napi::Boolean::New(env, result == WaitResult::kTaken));
    const Error closed(ErrorCode::ERR_CLOSED, "the flag was closed while it was waited for");
    deferred.Reject(toJsError(env, closed).Value());
  }

  std::unique_ptr<FlagWaiter> waiter_ = std::make_unique<FlagWaiter>();
  Napi::ThreadSafeFunction settle_;
  uint32_t pending_ = 0;  // used on the environment's thread only
};

namespace {

FlagWaits& waitsOf(Napi::Env env) {
  auto* state = env.GetInstanceData<EnvironmentState>();
  if (!state->flag_waits) {
    state->flag_waits = std::make_shared<FlagWaits>(env);
    env.AddCleanupHook([waits = state->flag_waits] { waits->stop(); });
  }
  return *state->flag_waits;
}

Napi::Value flagWait(const Napi::CallbackInfo& info) {
  flagOf(info);
  const double timeout_ms = info[1].As<Napi::Number>().DoubleValue();
  return waitsOf(info.Env()).wait(info.Env(), flagHandleOf(info).flag, timeout_ms);
}

Napi::Value flagClose(const Napi::CallbackInfo& info) {
  FlagHandle& handle = flagHandleOf(info);
  auto* state = info.Env().GetInstanceData<EnvironmentState>();
  if (handle.flag && state->flag_waits) state->flag_waits->cancel(handle.flag.get());
  // Now, not when the waiter's thread drops its copy: who closes last has removed the name.
  if (handle.flag) handle.flag->close();
  handle.flag.reset();
  return info.Env().Undefined();
}

}  // namespace

void exportShm(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "segmentCreate", segmentCreate);
  exportFunction(env, exports, "segmentOpen", segmentOpen);
  exportFunction(env, exports, "segmentBuffer", segmentBuffer);
  exportFunction(env, exports, "segmentInfo", segmentInfo);
  exportFunction(env, exports, "segmentClose", segmentClose);
  exportFunction(env, exports, "segmentUnlink", segmentUnlink);
  exportFunction(env, exports, "segmentSweep", segmentSweep);
  exportFunction(env, exports, "segmentList", segmentList);
  exportFunction(env, exports, "flagCreate", flagCreate);
  exportFunction(env, exports, "flagOpen", flagOpen);
  exportFunction(env, exports, "flagPost", flagPost);
  exportFunction(env, exports, "flagTryWait", flagTryWait);
  exportFunction(env, exports, "flagWait", flagWait);
  exportFunction(env, exports, "flagClose", flagClose);
}

}  // namespace memdrift::door
