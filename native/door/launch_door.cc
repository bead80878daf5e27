// SPDX-License-Identifier: MIT
#include "door/doors.h"
#include "door/translate.h"
#include "launch/become_program.h"
#include "launch/witness.h"

namespace memdrift::door {

namespace {

std::vector<std::string> textsArgument(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) throw Error(ErrorCode::ERR_INVALID, std::string(name) + " is not a list");
  const auto list = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (uint32_t i = 0; i < list.Length(); i++) texts.push_back(stringArgument(list[i], name));
  return texts;
}

// launchBecome(file, argv, environment): returns errno when the exec failed.
Napi::Value launchBecome(const Napi::CallbackInfo& info) {
  const int failure = becomeProgram(stringArgument(info[0], "file"), textsArgument(info[1], "argv"),
                                    textsArgument(info[2], "environment"));
  return Napi::Number::New(info.Env(), failure);
}

Napi::Value launchWitness(const Napi::CallbackInfo& info) {
  const auto program = static_cast<pid_t>(integerArgument(info[0], "program"));
  if (!info[1].IsArray()) throw Error(ErrorCode::ERR_INVALID, "signals is not a list");
  const auto list = info[1].As<Napi::Array>();
  std::vector<int> signals;
  for (uint32_t i = 0; i < list.Length(); i++)
    signals.push_back(static_cast<int>(integerArgument(list[i], "signal")));
  const Witness witness = startWitness(program, signals);
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", witness.pid);
  result.Set("end", witness.end);
  return result;
}

Napi::Value launchEndWitness(const Napi::CallbackInfo& info) {
  endWitness({static_cast<pid_t>(integerArgument(info[0], "pid")),
              static_cast<int>(integerArgument(info[1], "end"))});
  return info.Env().Undefined();
}

Napi::Value launchEndBySignal(const Napi::CallbackInfo& info) {
  endBySignal(static_cast<int>(integerArgument(info[0], "signal")));
  return info.Env().Undefined();
}

}  // namespace

void exportLaunch(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "launchBecome", launchBecome);
  exportFunction(env, exports, "launchEndBySignal", launchEndBySignal);
  exportFunction(env, exports, "launchEndWitness", launchEndWitness);
  exportFunction(env, exports, "launchWitness", launchWitness);
}

}  // namespace memdrift::door
