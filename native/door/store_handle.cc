// SPDX-License-Identifier: MIT
#include "door/store_handle.h"

#include <utility>

#include "door/translate.h"

namespace memdrift::door {

namespace {

constexpr napi_type_tag kStoreTag = {0x6d656d6472696674, 0x73746f7265303032};

void endReading(Store& store, uint64_t id, Reading& reading) {
  // Before the memory goes, and before anybody else may be given its place.
  reading.view->detach();
  for (uint64_t i = 0; i < reading.count; i++) store.release(id);
}

}  // namespace

Store& StoreHandle::open() const {
  if (!store)
    throw Error(ErrorCode::ERR_CLOSED, "the store was closed; open it again with Store.open");
  return *store;
}

void StoreHandle::close() {
  if (!store) return;
  for (auto& [id, reading] : readings) endReading(*store, id, reading);
  readings.clear();
  for (auto& [id, filling] : fillings) {
    filling.view->detach();
    store->abort(id);
  }
  fillings.clear();
  store.reset();
}

void StoreHandle::forgetReading(uint64_t id) {
  auto taken = readings.extract(id);
  if (store && !taken.empty()) endReading(*store, id, taken.mapped());
}

void StoreHandle::forgetFilling(uint64_t id) {
  if (store && fillings.erase(id) > 0) store->abort(id);
}

Napi::Value toStoreHandle(Napi::Env env, std::shared_ptr<Store> store) {
  auto handle = std::make_shared<StoreHandle>();
  handle->store = std::move(store);
  return toHandle(env, std::make_unique<SharedHandle>(std::move(handle)), kStoreTag);
}

SharedHandle& storeHandleOf(const Napi::CallbackInfo& info) {
  return fromHandle<SharedHandle>(info[0], kStoreTag, "store");
}

Napi::Value fromBytes(Napi::Env env, uint64_t bytes) {
  return Napi::Number::New(env, static_cast<double>(bytes));
}

Napi::Object fromElements(Napi::Env env, const Elements& elements) {
  Napi::Object result = Napi::Object::New(env);
  Napi::Array shape = Napi::Array::New(env, elements.dimensions);
  for (uint32_t i = 0; i < elements.dimensions; i++)
    shape.Set(i, fromBytes(env, elements.shape[i]));
  result.Set("elementType", elements.type);
  result.Set("elementBytes", elements.element_bytes);
  result.Set("shape", shape);
  return result;
}

}  // namespace memdrift::door
