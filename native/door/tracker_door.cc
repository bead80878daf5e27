// SPDX-License-Identifier: MIT
// The tracker of this process. It belongs to the environment that started it, and ends with it.
#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "door/doors.h"
#include "door/translate.h"
#include "tracker/control_socket.h"
#include "tracker/own_status.h"
#include "tracker/reentry.h"
#include "tracker/tracker.h"

namespace memdrift::door {

namespace {

struct Handle {
  static constexpr napi_type_tag kTag = {0x6d656d6472696674, 0x747261636b657231};
  std::shared_ptr<Tracker> tracker;
};

// The one that runs, whoever else still knows it.
std::shared_ptr<Tracker> g_running;

void endOfEnvironment(void*) {
  g_running->stop();
  g_running.reset();
}

Tracker& trackerOf(const Napi::CallbackInfo& info) {
  return *fromHandle<Handle>(info[0], Handle::kTag, "tracker").tracker;
}

// An executable with an allocator of its own in it, as Bun's, calls no function that is hooked.
void checkHooks(Napi::Env env, Tracker& tracker) {
  Napi::ArrayBuffer buffer;
  const bool is_hooked = tracker.sees([&](size_t bytes) {
    buffer = Napi::ArrayBuffer::New(env, bytes);
    return buffer.Data();
  });
  buffer.Detach();
  // A capture that has ended already, by its size or a full disk, sees nothing more either.
  if (is_hooked || !tracker.ended().empty()) return;
  tracker.discard();
  throw Error(
      ErrorCode::ERR_UNSUPPORTED,
      "this program's allocations come to no hook: its executable has an allocator in it, "
      "as Bun's and static builds of Node have; run it with a Node that is linked to glibc");
}

// trackerStart({path, info, nativeStacks, lines, intervalMs, maxBytes, sampleBytes, checkEvery}): a
// handle.
Napi::Value trackerStart(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject()) throw Error(ErrorCode::ERR_INVALID, "expected an object of options");
  const auto given = info[0].As<Napi::Object>();
  TrackerOptions options;
  options.path = stringArgument(given.Get("path"), "path");
  options.info = stringArgument(given.Get("info"), "info");
  options.native_stacks = given.Get("nativeStacks").ToBoolean();
  options.has_child_arguments = given.Get("commandLines").ToBoolean();
  options.lines = given.Get("lines").ToBoolean();
  options.interval_ms =
      static_cast<uint32_t>(integerArgument(given.Get("intervalMs"), "intervalMs"));
  options.max_bytes = static_cast<uint64_t>(integerArgument(given.Get("maxBytes"), "maxBytes"));
  options.sample_bytes =
      static_cast<uint64_t>(integerArgument(given.Get("sampleBytes"), "sampleBytes"));
  options.check_every =
      static_cast<uint32_t>(integerArgument(given.Get("checkEvery"), "checkEvery"));
  auto tracker = std::make_shared<Tracker>(std::move(options));
  checkHooks(env, *tracker);
  g_running = tracker;
  napi_add_env_cleanup_hook(env, endOfEnvironment, nullptr);
  return toHandle(env, std::make_unique<Handle>(Handle{std::move(tracker)}), Handle::kTag);
}

Napi::Value trackerMark(const Napi::CallbackInfo& info) {
  trackerOf(info).mark(stringArgument(info[1], "label"));
  return info.Env().Undefined();
}

Napi::Value trackerEnded(const Napi::CallbackInfo& info) {
  const std::string reason = trackerOf(info).ended();
  return reason.empty() ? info.Env().Null()
                        : Napi::String::New(info.Env(), reason).As<Napi::Value>();
}

// Returns the processes without a capture of their own, with the fields that one printed line
// needs.
Napi::Array otherChildrenToJs(Napi::Env env, const ChildPeaks& peaks) {
  Napi::Array list = Napi::Array::New(env);
  for (const ChildPeak& one : peaks.children()) {
    if (one.is_node) continue;
    Napi::Object child = Napi::Object::New(env);
    child.Set("pid", one.pid);
    child.Set("name", one.name);
    child.Set("peakRssBytes", static_cast<double>(one.peak_rss_bytes));
    list.Set(list.Length(), child);
  }
  return list;
}

// trackerStop(tracker): the processes that this one started and that do not run Node.
Napi::Value trackerStop(const Napi::CallbackInfo& info) {
  Tracker& tracker = trackerOf(info);
  tracker.stop();
  const Napi::Array children = otherChildrenToJs(info.Env(), tracker.childPeaks());
  if (g_running.get() == &tracker) {
    napi_remove_env_cleanup_hook(info.Env(), endOfEnvironment, nullptr);
    g_running.reset();
  }
  return children;
}

// trackerSay(tracker, line): true when it was written. After trackerStop().
Napi::Value trackerSay(const Napi::CallbackInfo& info) {
  const std::string line = stringArgument(info[1], "line");
  // A filter of system calls may end the process for a call of ours.
  const bool may_call = !OwnStatus::wasConfined();
  return Napi::Boolean::New(info.Env(), may_call && trackerOf(info).standardError().write(line));
}

// trackerListen(path): the descriptor.
Napi::Value trackerListen(const Napi::CallbackInfo& info) {
  const NoReentry guard;
  return Napi::Number::New(info.Env(), listenForControl(stringArgument(info[0], "path")));
}

Napi::Value trackerEndControl(const Napi::CallbackInfo& info) {
  endControl();
  return info.Env().Undefined();
}

Napi::Value trackerFilters(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(OwnStatus::filtersNow()));
}

// trackerJsHeap(tracker, {texts, numbers, totalBytes, usedBytes}): six numbers per node, as
// JsHeapNode has them.
Napi::Value trackerJsHeap(const Napi::CallbackInfo& info) {
  const NoReentry guard;
  Tracker& tracker = trackerOf(info);
  const auto heap = info[1].As<Napi::Object>();
  const Napi::Value rows = heap.Get("numbers");
  if (!heap.Get("texts").IsArray() || !rows.IsTypedArray() ||
      rows.As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
    throw Error(ErrorCode::ERR_INVALID, "expected an array of texts and a Float64Array");
  const auto given = heap.Get("texts").As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < given.Length(); i++)
    texts.push_back(stringArgument(given.Get(i), "text"));
  JsHeapProfile profile;
  profile.texts.assign(texts.begin(), texts.end());
  profile.totals.total_bytes = integerArgument(heap.Get("totalBytes"), "totalBytes");
  profile.totals.used_bytes = integerArgument(heap.Get("usedBytes"), "usedBytes");
  const auto numbers = rows.As<Napi::Float64Array>();
  constexpr size_t kNumbers = 6;
  for (size_t i = 0; i + kNumbers <= numbers.ElementLength(); i += kNumbers) {
    const double* at = numbers.Data() + i;
    const auto small = [at](size_t which) {
      return static_cast<uint32_t>(std::clamp(at[which], 0.0, double{UINT32_MAX}));
    };
    profile.nodes.push_back({small(0), small(1), small(2), small(3), small(4),
                             static_cast<uint64_t>(std::max(at[5], 0.0))});
  }
  tracker.addJsHeap(std::move(profile));
  return info.Env().Undefined();
}

Napi::Value trackerReport(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const TrackerReport report = trackerOf(info).report();
  Napi::Object object = Napi::Object::New(env);
  object.Set("patchedSlots", static_cast<double>(report.patched_slots));
  object.Set("isolates", report.isolates);
  object.Set("lines_missed", static_cast<double>(report.lines_missed));
#define MEMDRIFT_SET(name) object.Set(#name, static_cast<double>(report.stacks.name));
  MEMDRIFT_STACK_COUNTERS(MEMDRIFT_SET)
#undef MEMDRIFT_SET
  return object;
}

}  // namespace

void exportTracker(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "trackerEndControl", trackerEndControl);
  exportFunction(env, exports, "trackerEnded", trackerEnded);
  exportFunction(env, exports, "trackerFilters", trackerFilters);
  exportFunction(env, exports, "trackerJsHeap", trackerJsHeap);
  exportFunction(env, exports, "trackerListen", trackerListen);
  exportFunction(env, exports, "trackerMark", trackerMark);
  exportFunction(env, exports, "trackerReport", trackerReport);
  exportFunction(env, exports, "trackerStart", trackerStart);
  exportFunction(env, exports, "trackerStop", trackerStop);
  exportFunction(env, exports, "trackerSay", trackerSay);
}

}  // namespace memdrift::door
