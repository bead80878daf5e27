// SPDX-License-Identifier: MIT
#include "door/doors.h"
#include "door/translate.h"
#include "entry/process_handle.h"

namespace memdrift::door {

namespace {

Napi::Value processOpenEntry(const Napi::CallbackInfo& info) {
  const auto pid = static_cast<pid_t>(integerArgument(info[0], "pid"));
  return Napi::Number::New(info.Env(), openProcess(pid));
}

Napi::Value processSignalEntry(const Napi::CallbackInfo& info) {
  signalProcess(static_cast<int>(integerArgument(info[0], "handle")),
                static_cast<int>(integerArgument(info[1], "signal")));
  return info.Env().Undefined();
}

}  // namespace

void exportEntry(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "processOpen", processOpenEntry);
  exportFunction(env, exports, "processSignal", processSignalEntry);
}

}  // namespace memdrift::door
