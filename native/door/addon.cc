// SPDX-License-Identifier: MIT
// The export table and the state of each environment; no logic.
// src/door.ts has the same names with their types, and a test compares the two.
#include "door/doors.h"
#include "door/translate.h"

namespace memdrift::door {

static Napi::Value initialize(const Napi::CallbackInfo& info) {
  auto* state = info.Env().GetInstanceData<EnvironmentState>();
  if (!info[0].IsFunction()) throw Error(ErrorCode::ERR_INVALID, "errorClass is not a function");
  state->error_class = Napi::Persistent(info[0].As<Napi::Function>());
  return info.Env().Undefined();
}

void exportFunction(Napi::Env env, Napi::Object exports, const char* name,
                    Napi::Value (*function)(const Napi::CallbackInfo&)) {
  exports.Set(name, Napi::Function::New(
                        env,
                        [function](const Napi::CallbackInfo& info) {
                          return guarded(info.Env(), [&] { return function(info); });
                        },
                        name));
}

static Napi::Object exportAll(Napi::Env env, Napi::Object exports) {
  env.SetInstanceData(new EnvironmentState());
  exportFunction(env, exports, "initialize", initialize);
  exportProc(env, exports);
  exportSampler(env, exports);
  exportShm(env, exports);
  exportStore(env, exports);
  exportExperiment(env, exports);
  exportLaunch(env, exports);
  exportCapture(env, exports);
  exportBufferRanges(env, exports);
  exportDrift(env, exports);
  exportTracker(env, exports);
  exportEntry(env, exports);
  return exports;
}

NODE_API_MODULE(memdrift, exportAll)

}  // namespace memdrift::door
