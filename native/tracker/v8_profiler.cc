// SPDX-License-Identifier: MIT
#include "tracker/v8_profiler.h"

#include <dlfcn.h>

#include <cstring>

namespace memdrift::v8_api {

namespace {

// Of isolates, by V8's version: kIsolateFastCCallCallerFpOffset of its v8-internal.h, and
// c_entry_fp_ of its ThreadLocalTop, which a start looks up again (LineFinder::start).
struct IsolateWords {
  const char* version;
  size_t fast_call_offset;
  size_t exit_frame_offset;
};
constexpr IsolateWords kIsolateWords[] = {
    {"11.3.", 0xe8, 0x180},
    {"12.4.", 0xf0, 0x110},
    {"13.6.", 0x128, 0x140},
    {"14.6.", 0x130, 0x148},
};

template <typename Function>
bool find(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
  return function != nullptr;
}

// By the names that the C++ ABI gives them.
bool findAll(ProfilerApi& api) {
  return find(api.create,
              "_ZN2v811CpuProfiler3NewEPNS_7IsolateENS_22CpuProfilingNamingModeE"
              "NS_23CpuProfilingLoggingModeE") &&
         find(api.dispose, "_ZN2v811CpuProfiler7DisposeEv") &&
         find(api.setSamplingInterval, "_ZN2v811CpuProfiler19SetSamplingIntervalEi") &&
         find(api.start,
              "_ZN2v811CpuProfiler14StartProfilingENS_5LocalINS_6StringEEE"
              "NS_16CpuProfilingModeEbj") &&
         find(api.stop, "_ZN2v811CpuProfiler13StopProfilingENS_5LocalINS_6StringEEE") &&
         (find(api.collectSample,
               "_ZN2v811CpuProfiler13CollectSampleEPNS_7IsolateESt8optionalImE") ||
          find(api.collectSample, "_ZN2v811CpuProfiler13CollectSampleEPNS_7IsolateE")) &&
         find(api.sampleCount, "_ZNK2v810CpuProfile15GetSamplesCountEv") &&
         find(api.sample, "_ZNK2v810CpuProfile9GetSampleEi") &&
         find(api.sampleTimeUs, "_ZNK2v810CpuProfile18GetSampleTimestampEi") &&
         find(api.destroy, "_ZN2v810CpuProfile6DeleteEv") &&
         find(api.functionName, "_ZNK2v814CpuProfileNode18GetFunctionNameStrEv") &&
         find(api.scriptName, "_ZNK2v814CpuProfileNode24GetScriptResourceNameStrEv") &&
         find(api.callerLine, "_ZNK2v814CpuProfileNode13GetLineNumberEv") &&
         find(api.parent, "_ZNK2v814CpuProfileNode9GetParentEv") &&
         find(api.newString, "_ZN2v86String11NewFromUtf8EPNS_7IsolateEPKcNS_13NewStringTypeEi") &&
         find(api.disposeGlobal, "_ZN2v812api_internal13DisposeGlobalEPm");
}

bool findWords(ProfilerApi& api) {
  const char* (*version)() = nullptr;
  if (!find(version, "_ZN2v82V810GetVersionEv")) return false;
  for (const IsolateWords& words : kIsolateWords) {
    if (strncmp(version(), words.version, strlen(words.version)) != 0) continue;
    api.fast_call_offset = words.fast_call_offset;
    api.exit_frame_offset = words.exit_frame_offset;
    return true;
  }
  return false;
}

}  // namespace

const ProfilerApi* profilerApi() noexcept {
  static ProfilerApi found;
  static const bool is_complete = findAll(found) && findWords(found);
  return is_complete ? &found : nullptr;
}

Slot keep(Isolate* isolate, Slot text) noexcept {
  // Before V8 12 it takes where the reference is, since then the reference.
  Slot (*by_slot)(Isolate*, Slot) = nullptr;
  if (find(by_slot, "_ZN2v812api_internal18GlobalizeReferenceEPNS_8internal7IsolateEPm"))
    return by_slot(isolate, text);
  Slot (*by_value)(Isolate*, uintptr_t) = nullptr;
  if (find(by_value, "_ZN2v812api_internal18GlobalizeReferenceEPNS_8internal7IsolateEm"))
    return by_value(isolate, *text);
  return nullptr;
}

}  // namespace memdrift::v8_api
