// SPDX-License-Identifier: MIT
#include <memory>

#include "door/doors.h"
#include "door/translate.h"
#include "experiment/pattern.h"
#include "experiment/peer.h"

namespace memdrift::door {

namespace {

struct PatternArguments {
  unsigned char* bytes;
  size_t size;
  uint64_t key;
  // Keeps the view, and so its ArrayBuffer, alive while the pool thread is in it.
  std::shared_ptr<Napi::Reference<Napi::Uint8Array>> view;
};

PatternArguments patternArguments(const Napi::CallbackInfo& info) {
  if (!info[0].IsTypedArray() || !info[1].IsBigInt())
    throw Error(ErrorCode::ERR_INVALID, "expected (bytes: Uint8Array, key: bigint)");
  auto view = info[0].As<Napi::Uint8Array>();
  bool lossless = false;
  PatternArguments arguments{view.Data(), view.ByteLength(),
                             info[1].As<Napi::BigInt>().Uint64Value(&lossless), nullptr};
  if (!lossless) throw Error(ErrorCode::ERR_INVALID, "key is not an unsigned 64-bit integer");
  arguments.view = std::make_shared<Napi::Reference<Napi::Uint8Array>>(
      Napi::Reference<Napi::Uint8Array>::New(view, 1));
  return arguments;
}

Napi::Value patternFillEntry(const Napi::CallbackInfo& info) {
  const PatternArguments a = patternArguments(info);
  return runOffThread(
      info.Env(), [bytes = a.bytes, size = a.size, key = a.key] { patternFill(bytes, size, key); },
      [view = a.view](Napi::Env env) { return env.Undefined(); });
}

Napi::Value patternCheckEntry(const Napi::CallbackInfo& info) {
  const PatternArguments a = patternArguments(info);
  auto mismatch = std::make_shared<size_t>(0);
  return runOffThread(
      info.Env(),
      [bytes = a.bytes, size = a.size, key = a.key, mismatch] {
        *mismatch = patternMismatch(bytes, size, key);
      },
      [view = a.view, size = a.size, mismatch](Napi::Env env) {
        const double index = *mismatch == size ? -1 : static_cast<double>(*mismatch);
        return Napi::Number::New(env, index);
      });
}

Napi::Value socketPeerEntry(const Napi::CallbackInfo& info) {
  const Peer peer = socketPeer(static_cast<int>(integerArgument(info[0], "fd")));
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("pid", peer.pid);
  result.Set("uid", peer.uid);
  return result;
}

}  // namespace

void exportExperiment(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "patternFill", patternFillEntry);
  exportFunction(env, exports, "patternCheck", patternCheckEntry);
  exportFunction(env, exports, "socketPeer", socketPeerEntry);
}

}  // namespace memdrift::door
