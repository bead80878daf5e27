// SPDX-License-Identifier: MIT
#include "door/store_handle.h"

#include <optional>
#include <utility>

#include "door/translate.h"

namespace memdrift::door {

namespace {

constexpr napi_type_tag kStoreTag = {0x6d656d6472696674, 0x73746f7265303032};

// An unsealed object that is given up: its room becomes free once nothing can write to it.
class AbortedFilling {
 public:
  AbortedFilling(std::shared_ptr<Store> store, uint64_t id) : store_(std::move(store)), id_(id) {}
  ~AbortedFilling() { store_->abort(id_); }
  AbortedFilling(const AbortedFilling&) = delete;

 private:
  std::shared_ptr<Store> store_;
  uint64_t id_;
};

void endReading(const std::shared_ptr<Store>& store, uint64_t id, Reading& reading) {
  reading.view->keep(std::make_shared<HeldReading>(store, id));
  // Before the memory goes, and before anybody else may be given its place.
  reading.view->detach();
  for (uint64_t i = 0; i < reading.count; i++) store->release(id);
}

void endFilling(const std::shared_ptr<Store>& store, uint64_t id, Filling& filling) {
  filling.view->keep(std::make_shared<AbortedFilling>(store, id));
  filling.view->detach();
}

std::unique_ptr<SharedView> readingView(Napi::Env env, const SharedHandle& handle, const Got& got) {
  const SharedMemory memory{got.memory.bytes, got.memory.size_bytes};
  return std::make_unique<SharedView>(env, memory,
                                      [weak = std::weak_ptr<StoreHandle>(handle), id = got.id] {
                                        if (const SharedHandle alive = weak.lock())
                                          alive->forgetReading(id);
                                      });
}

// The buffer of an object whose buffer JavaScript may still have.
std::optional<Napi::Value> readAgain(Napi::Env env, const SharedHandle& handle, uint64_t id) {
  const auto found = handle->readings.find(id);
  if (found == handle->readings.end()) return std::nullopt;
  Reading& reading = found->second;
  if (reading.view->buffer().IsEmpty()) {
    // Collected, but its finalizer has not run yet.
    handle->forgetReading(id);
    return std::nullopt;
  }
  if (reading.view->isMoved()) {
    // Another buffer, or thread, has the memory now and keeps the object; here it gets a new one.
    auto view = readingView(env, handle, {id, reading.memory});
    reading.view->keep(std::make_shared<HeldReading>(handle->store, id));
    reading.view = std::move(view);
  }
  reading.count++;
  return reading.view->buffer();
}

}  // namespace

Store& StoreHandle::open() const {
  if (!store)
    throw Error(ErrorCode::ERR_CLOSED, "the store was closed; open it again with Store.open");
  return *store;
}

void StoreHandle::close() {
  if (!store) return;
  for (auto& [id, reading] : readings) endReading(store, id, reading);
  readings.clear();
  for (auto& [id, filling] : fillings) endFilling(store, id, filling);
  fillings.clear();
  store.reset();
}

void StoreHandle::forgetReading(uint64_t id) {
  auto taken = readings.extract(id);
  if (store && !taken.empty()) endReading(store, id, taken.mapped());
}

void StoreHandle::forgetFilling(uint64_t id) {
  auto taken = fillings.extract(id);
  if (store && !taken.empty()) endFilling(store, id, taken.mapped());
}

Napi::Value toStoreHandle(Napi::Env env, std::shared_ptr<Store> store) {
  auto handle = std::make_shared<StoreHandle>();
  handle->store = std::move(store);
  return toHandle(env, std::make_unique<SharedHandle>(std::move(handle)), kStoreTag);
}

SharedHandle& storeHandleOf(const Napi::CallbackInfo& info) {
  return fromHandle<SharedHandle>(info[0], kStoreTag, "store");
}

Napi::Value adoptReading(Napi::Env env, const SharedHandle& handle, const Got& got) {
  const auto [id, memory] = got;
  try {
    if (const auto again = readAgain(env, handle, id)) return *again;
    auto view = readingView(env, handle, got);
    const Napi::Value buffer = view->buffer();
    handle->readings[id] = {std::move(view), memory, 1};
    return buffer;
  } catch (...) {
    handle->store->release(id);
    throw;
  }
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
