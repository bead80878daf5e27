// SPDX-License-Identifier: MIT
#include "door/store_room.h"

#include <string>
#include <utility>

#include "door/translate.h"

namespace memdrift::door {

namespace {

Elements elementsArgument(const Napi::Object& options) {
  const auto shape = options.Get("shape").As<Napi::Array>();
  Elements elements;
  elements.type = options.Get("elementType").As<Napi::Number>().Uint32Value();
  elements.element_bytes = options.Get("elementBytes").As<Napi::Number>().Uint32Value();
  elements.dimensions = shape.Length();
  if (elements.dimensions > kMaxDimensions)
    throw Error(ErrorCode::ERR_INVALID, "a shape has " + std::to_string(elements.dimensions) +
                                            " dimensions: use at most " +
                                            std::to_string(kMaxDimensions));
  for (uint32_t i = 0; i < elements.dimensions; i++)
    elements.shape[i] = static_cast<uint64_t>(integerArgument(shape.Get(i), "shape"));
  return elements;
}

}  // namespace

Store::CreateRequest createRequest(const Napi::Value& argument) {
  const auto options = argument.As<Napi::Object>();
  const int64_t size_bytes = integerArgument(options.Get("sizeBytes"), "sizeBytes");
  if (size_bytes < 0) throw Error(ErrorCode::ERR_INVALID, "sizeBytes is negative");
  return {static_cast<uint64_t>(size_bytes), stringArgument(options.Get("site"), "site"),
          kLoopTimeoutUs, false, elementsArgument(options)};
}

void forPool(Store::CreateRequest& request) {
  request.lock_timeout_us = kPoolTimeoutUs;
  request.populate = true;
}

void giveUpOnPool(Napi::Env env, const std::shared_ptr<Store>& store, Leftover leftover) {
  if (!leftover.any()) return;
  auto given = std::make_shared<Leftover>(std::move(leftover));
  runOffThread(
      env, [store, given] { given->giveUp(); }, [](Napi::Env on) { return on.Undefined(); });
}

}  // namespace memdrift::door
