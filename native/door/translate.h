// SPDX-License-Identifier: MIT
// JavaScript values <-> C++ values, and C++ errors -> MemdriftError. Nothing outside native/door
// includes napi.h, so the core builds and is tested without Node.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "errors.h"

namespace memdrift::door {

// State of one environment (the main thread or one worker). Released by Node when it ends.
class FlagWaits;

struct EnvironmentState {
  Napi::FunctionReference error_class;
  // Made at the first wait for a flag; see shm_door.cc.
  std::shared_ptr<FlagWaits> flag_waits;
};

// Makes a MemdriftError of `error`, or a plain Error before initialize() was called.
Napi::Error toJsError(Napi::Env env, const Error& error);

// Runs `body`; an Error or std::exception that leaves it is thrown as a JavaScript error instead.
// Every exported function goes through this: an exception must never reach Node's C frames.
Napi::Value guarded(Napi::Env env, const std::function<Napi::Value()>& body);

// Runs `work` on a libuv pool thread (no JavaScript there), then `convert` on the environment's
// thread, and settles the promise that it returns.
Napi::Value runOffThread(Napi::Env env, std::function<void()> work,
                         std::function<Napi::Value(Napi::Env)> convert);

// Arguments: the TypeScript side has validated them; a mismatch here is a programming error and is
// thrown as ERR_INVALID with the name of the argument.
int64_t integerArgument(const Napi::Value& value, const char* name);
std::string stringArgument(const Napi::Value& value, const char* name);

Napi::Value toFloat64Array(Napi::Env env, const std::vector<double>& values);
Napi::Value toUint32Array(Napi::Env env, const std::vector<uint32_t>& values);
Napi::Value toStringArray(Napi::Env env, const std::vector<std::string>& values);

// A native object behind an opaque handle: a type-tagged External. `Type` declares
// `static constexpr napi_type_tag kTag` so that a handle of another kind, or of another copy of the
// addon with another layout, is refused instead of being reinterpreted.
template <typename Type>
Napi::Value toHandle(Napi::Env env, std::unique_ptr<Type> object, const napi_type_tag& tag) {
  auto external =
      Napi::External<Type>::New(env, object.get(), [](Napi::Env, Type* p) { delete p; });
  object.release();
  external.TypeTag(&tag);
  return external;
}

template <typename Type>
Type& fromHandle(const Napi::Value& value, const napi_type_tag& tag, const char* name) {
  if (!value.IsExternal())
    throw Error(ErrorCode::ERR_INVALID, std::string(name) + " is not a handle");
  auto external = value.As<Napi::External<Type>>();
  if (!external.CheckTypeTag(&tag))
    throw Error(ErrorCode::ERR_INVALID, std::string(name) + " is a handle of another kind");
  return *external.Data();
}

}  // namespace memdrift::door
