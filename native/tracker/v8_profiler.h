// SPDX-License-Identifier: MIT
// V8's profiler of the processor, used for one thing: it alone can say which line a function is at,
// and which functions were compiled into it. Found by name like the rest of V8 (v8_api.h).
#pragma once

#include <cstddef>
#include <cstdint>

#include "tracker/v8_api.h"

namespace memdrift::v8_api {

struct Profiler;
struct Profile;
struct ProfileNode;
using Slot = uintptr_t*;  // where V8 keeps a reference for us: what a Local and a Global are

// An std::optional<uint64_t> with nothing in it, as it is passed: versions before 13 take none, and
// do not look at it.
struct NoTraceId {
  uint64_t value;
  bool is_there;
};

enum NamingMode : int { kDebugNaming = 1 };
enum LoggingMode : int { kEagerLogging = 1 };
enum ProfilingMode : int { kCallerLineNumbers = 1 };
inline constexpr unsigned kNoSampleLimit = UINT32_MAX;

struct ProfilerApi {
  Profiler* (*create)(Isolate*, NamingMode, LoggingMode);
  void (*dispose)(Profiler*);
  void (*setSamplingInterval)(Profiler*, int us);
  uint64_t (*start)(Profiler*, Slot title, ProfilingMode, bool has_samples, unsigned most_samples);
  Profile* (*stop)(Profiler*, Slot title);
  void (*collectSample)(Isolate*, NoTraceId);
  int (*sampleCount)(const Profile*);
  const ProfileNode* (*sample)(const Profile*, int);
  int64_t (*sampleTimeUs)(const Profile*, int);  // by CLOCK_MONOTONIC
  void (*destroy)(Profile*);
  const char* (*functionName)(const ProfileNode*);
  const char* (*scriptName)(const ProfileNode*);
  int (*callerLine)(const ProfileNode*);  // at which line the one around it is
  const ProfileNode* (*parent)(const ProfileNode*);
  Slot (*newString)(Isolate*, const char* text, int type, int bytes);
  void (*disposeGlobal)(Slot);

  // Words of an isolate, by their distance from its start. The frame of the call by which
  // JavaScript was left, if it was left by one that has such a frame; and that of one which has
  // not.
  size_t exit_frame_offset;
  size_t fast_call_offset;
};

// Null where one of them is missing, or V8 is of a version whose words nobody has looked up.
const ProfilerApi* profilerApi() noexcept;

// A reference that outlives the scope in which the string was made.
Slot keep(Isolate* isolate, Slot text) noexcept;

// True of code that is, or is next to, what makes a profiler: V8 holds a lock there that a sample
// would wait for.
inline bool isInCreate(const ProfilerApi& api, uintptr_t pc) noexcept {
  constexpr size_t kCreateBytes = 512;
  return pc - reinterpret_cast<uintptr_t>(api.create) < kCreateBytes;
}

inline uintptr_t wordOf(const Isolate* isolate, size_t offset) noexcept {
  return *reinterpret_cast<const uintptr_t*>(reinterpret_cast<const char*>(isolate) + offset);
}

}  // namespace memdrift::v8_api
