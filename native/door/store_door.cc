// SPDX-License-Identifier: MIT
// Stores as JavaScript sees them: a handle per attachment, an ArrayBuffer per (object, access).
#include <cstring>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include "door/doors.h"
#include "door/translate.h"
#include "door/uncounted_buffer.h"
#include "door/views.h"
#include "shm/store.h"

namespace memdrift::door {

namespace {

constexpr napi_type_tag kStoreTag = {0x6d656d6472696674, 0x73746f7265303031};
// A sync call runs on the event loop, where nobody may wait; one on the pool may.
constexpr uint64_t kLoopTimeoutUs = 1'000;
constexpr uint64_t kPoolTimeoutUs = 5'000'000;

// An object that this environment fills.
struct Filling {
  std::unique_ptr<SharedView> view;
  unsigned char* bytes;
  uint64_t size_bytes;
};

// An object that this environment reads.
struct Reading {
  std::unique_ptr<SharedView> view;
  View memory;
  uint32_t count;
};

// Lives on the environment's thread. The Store itself is shared with work on the pool, which must
// find its memory there even when it ends after close().
struct StoreHandle {
  std::shared_ptr<Store> store;
  std::map<uint64_t, Filling> fillings;
  std::map<uint64_t, Reading> readings;

  Store& open() const {
    if (!store)
      throw Error(ErrorCode::ERR_CLOSED, "the store was closed; open it again with Store.open");
    return *store;
  }

  void close() {
    for (auto& [id, reading] : readings) {
      reading.view->detach();
      store->release(id, reading.memory);
    }
    readings.clear();
    fillings.clear();
    store.reset();
  }

  ~StoreHandle() {
    if (store) close();
  }
};

// The handle as a shared pointer, so that a finalizer of a view that outlives it finds it gone.
using SharedHandle = std::shared_ptr<StoreHandle>;

SharedHandle& handleOf(const Napi::CallbackInfo& info) {
  return fromHandle<SharedHandle>(info[0], kStoreTag, "store");
}

uint64_t idArgument(const Napi::Value& value) {
  const int64_t id = integerArgument(value, "id");
  if (id < 0) throw Error(ErrorCode::ERR_INVALID, "an object id is not negative");
  return static_cast<uint64_t>(id);
}

Napi::Value fromBytes(Napi::Env env, uint64_t bytes) {
  return Napi::Number::New(env, static_cast<double>(bytes));
}

AttachOptions attachOptions(const Napi::Object& options) {
  return {options.Get("trim").ToBoolean(), options.Get("readOnly").ToBoolean(),
          stringArgument(options.Get("label"), "label")};
}

// Attaches on the pool: the lock may have to be waited for.
Napi::Value attach(Napi::Env env, std::function<std::shared_ptr<Store>()> make) {
  auto made = std::make_shared<std::shared_ptr<Store>>();
  return runOffThread(
      env, [made, make = std::move(make)] { *made = make(); },
      [made](Napi::Env on) {
        auto handle = std::make_shared<StoreHandle>();
        handle->store = std::move(*made);
        return toHandle(on, std::make_unique<SharedHandle>(std::move(handle)), kStoreTag);
      });
}

Napi::Value storeCreate(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  StoreOptions store;
  store.name = stringArgument(options.Get("name"), "name");
  store.capacity_bytes =
      static_cast<uint64_t>(integerArgument(options.Get("capacityBytes"), "capacityBytes"));
  store.placement = stringArgument(options.Get("placement"), "placement") == "rotate"
                        ? Placement::kRotate
                        : Placement::kLowest;
  store.with_sites = options.Get("sites").ToBoolean();
  return attach(info.Env(), [store, attach_options = attachOptions(options)] {
    return Store::create(store, attach_options);
  });
}

Napi::Value storeOpen(const Napi::CallbackInfo& info) {
  const auto options = info[0].As<Napi::Object>();
  return attach(info.Env(), [name = stringArgument(options.Get("name"), "name"),
                             attach_options = attachOptions(options)] {
    return Store::open(name, attach_options);
  });
}

// Puts a created object under the handle and gives {id, buffer} to JavaScript.
Napi::Value adopt(Napi::Env env, StoreHandle& handle, const Room& room) {
  auto view = std::make_unique<SharedView>(env, SharedMemory{room.bytes, room.size_bytes},
                                           std::function<void()>());
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", fromBytes(env, room.id));
  result.Set("buffer", view->buffer());
  handle.fillings[room.id] = {std::move(view), room.bytes, room.size_bytes};
  return result;
}

Store::CreateRequest createRequest(const Napi::CallbackInfo& info) {
  const int64_t size_bytes = integerArgument(info[1], "sizeBytes");
  if (size_bytes < 0) throw Error(ErrorCode::ERR_INVALID, "sizeBytes is negative");
  return {static_cast<uint64_t>(size_bytes), stringArgument(info[2], "site"), kLoopTimeoutUs,
          false};
}

Napi::Value storeReserve(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  return adopt(info.Env(), *handle, handle->open().create(createRequest(info)));
}

Napi::Value storeReserveAsync(const Napi::CallbackInfo& info) {
  const SharedHandle handle = handleOf(info);
  handle->open();
  Store::CreateRequest request = createRequest(info);
  request.lock_timeout_us = kPoolTimeoutUs;
  request.populate = true;
  auto room = std::make_shared<Room>();
  return runOffThread(
      info.Env(), [store = handle->store, request, room] { *room = store->create(request); },
      [handle, room](Napi::Env env) {
        // Closed meanwhile: the Store's end gives the room back.
        handle->open();
        return adopt(env, *handle, *room);
      });
}

Napi::Value storePut(const Napi::CallbackInfo& info) {
  const SharedHandle handle = handleOf(info);
  handle->open();
  auto source = info[1].As<Napi::Uint8Array>();
  auto held = std::make_shared<Napi::Reference<Napi::Uint8Array>>(
      Napi::Reference<Napi::Uint8Array>::New(source, 1));
  const Store::CreateRequest request{source.ByteLength(), stringArgument(info[2], "site"),
                                     kPoolTimeoutUs, true};
  auto id = std::make_shared<uint64_t>(0);
  return runOffThread(
      info.Env(),
      [store = handle->store, request, id, from = source.Data()] {
        const Room room = store->create(request);
        if (room.size_bytes > 0) memcpy(room.bytes, from, room.size_bytes);
        store->seal(room.id);
        if (store->trims()) dropEntries(room.bytes, room.size_bytes);
        *id = room.id;
      },
      [held, id](Napi::Env env) { return fromBytes(env, *id); });
}

Filling& fillingOf(const SharedHandle& handle, uint64_t id) {
  handle->open();
  const auto found = handle->fillings.find(id);
  if (found != handle->fillings.end()) return found->second;
  throw Error(ErrorCode::ERR_STATE,
              "object " + std::to_string(id) + " is sealed or aborted already");
}

// Gives the producer's page-table entries up on the pool: 8 ms per 100 MB are too long for a loop.
void trimOffThread(Napi::Env env, const std::shared_ptr<Store>& store, const Filling& filling) {
  runOffThread(
      env, [store, bytes = filling.bytes, size = filling.size_bytes] { dropEntries(bytes, size); },
      [](Napi::Env on) { return on.Undefined(); });
}

Napi::Value storeSeal(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  const uint64_t id = idArgument(info[1]);
  Filling& filling = fillingOf(handle, id);
  // Detached first: from the moment of the seal on, nobody can write through it.
  filling.view->detach();
  handle->store->seal(id);
  if (handle->store->trims()) trimOffThread(info.Env(), handle->store, filling);
  handle->fillings.erase(id);
  return info.Env().Undefined();
}

Napi::Value storeAbort(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  const uint64_t id = idArgument(info[1]);
  fillingOf(handle, id).view->detach();
  handle->fillings.erase(id);
  handle->store->abort(id);
  return info.Env().Undefined();
}

// Ends a reading whose buffer JavaScript has dropped without release().
void forget(const std::weak_ptr<StoreHandle>& weak, uint64_t id) {
  const SharedHandle handle = weak.lock();
  if (!handle || !handle->store) return;
  const auto found = handle->readings.find(id);
  if (found == handle->readings.end()) return;
  const View memory = found->second.memory;
  handle->readings.erase(found);
  handle->store->release(id, memory);
}

Napi::Value storeGet(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  Store& store = handle->open();
  const uint64_t id = idArgument(info[1]);
  const auto found = handle->readings.find(id);
  if (found != handle->readings.end()) {
    const Napi::Value buffer = found->second.view->buffer();
    if (!buffer.IsEmpty()) {
      found->second.count++;
      return buffer;
    }
    // Collected, but its finalizer has not run yet.
    forget(handle, id);
  }
  const View memory = store.get(id);
  auto view = std::make_unique<SharedView>(
      info.Env(), SharedMemory{memory.bytes, memory.size_bytes},
      [weak = std::weak_ptr<StoreHandle>(handle), id] { forget(weak, id); });
  const Napi::Value buffer = view->buffer();
  handle->readings[id] = {std::move(view), memory, 1};
  return buffer;
}

Napi::Value storeRelease(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  const uint64_t id = idArgument(info[1]);
  const auto found = handle->readings.find(id);
  if (!handle->store || found == handle->readings.end() || --found->second.count > 0)
    return info.Env().Undefined();
  const View memory = found->second.memory;
  found->second.view->detach();
  handle->readings.erase(found);
  handle->store->release(id, memory);
  return info.Env().Undefined();
}

Napi::Value storeDelete(const Napi::CallbackInfo& info) {
  handleOf(info)->open().remove(idArgument(info[1]));
  return info.Env().Undefined();
}

const char* stateName(ObjectState state) {
  switch (state) {
    case ObjectState::kCreated:
      return "created";
    case ObjectState::kSealed:
      return "sealed";
    default:
      return "deleted";
  }
}

Napi::Object fromHolder(Napi::Env env, const Holder& holder) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("client", holder.client);
  result.Set("pid", holder.pid);
  result.Set("label", holder.label);
  return result;
}

Napi::Object fromInfo(Napi::Env env, const ObjectInfo& one) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", fromBytes(env, one.object.id()));
  result.Set("state", stateName(one.object.state));
  result.Set("sizeBytes", fromBytes(env, one.object.size_bytes));
  result.Set("extentBytes", fromBytes(env, one.object.extent.extent_bytes));
  result.Set("fileOffsetBytes", fromBytes(env, kArenaOffset + one.object.extent.offset_bytes));
  result.Set("createdAtMs",
             Napi::Number::New(env, static_cast<double>(one.object.created_at_ns) / 1e6));
  result.Set("creator", fromHolder(env, one.creator));
  result.Set("site", one.object.site);
  Napi::Array holders = Napi::Array::New(env, one.holders.size());
  for (uint32_t i = 0; i < one.holders.size(); i++) holders.Set(i, fromHolder(env, one.holders[i]));
  result.Set("holders", holders);
  return result;
}

Napi::Value storeList(const Napi::CallbackInfo& info) {
  const std::vector<ObjectInfo> infos = handleOf(info)->open().list();
  Napi::Array result = Napi::Array::New(info.Env(), infos.size());
  for (uint32_t i = 0; i < infos.size(); i++) result.Set(i, fromInfo(info.Env(), infos[i]));
  return result;
}

Napi::Value storeStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const StoreStats stats = handleOf(info)->open().stats();
  Napi::Object result = Napi::Object::New(env);
  result.Set("capacityBytes", fromBytes(env, stats.capacity_bytes));
  result.Set("liveBytes", fromBytes(env, stats.live_bytes));
  result.Set("arenaBytes", fromBytes(env, stats.arena_bytes));
  result.Set("residentBytes", fromBytes(env, stats.resident_bytes));
  result.Set("objects", stats.objects);
  result.Set("clients", stats.clients);
  result.Set("puts", fromBytes(env, stats.puts));
  result.Set("gets", fromBytes(env, stats.gets));
  result.Set("placement", stats.placement == Placement::kRotate ? "rotate" : "lowest");
  return result;
}

Napi::Value storeInfo(const Napi::CallbackInfo& info) {
  const Store& store = handleOf(info)->open();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", store.segment().name());
  result.Set("path", store.segment().path());
  result.Set("sites", store.withSites());
  result.Set("viewsAreExternal", !hasUncountedBuffers());
  result.Set("consumerViews", store.mapsViews() ? "mapped" : "copied");
  return result;
}

Napi::Value storeGiveBack(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  handle->open();
  const uint64_t keep_bytes = static_cast<uint64_t>(integerArgument(info[1], "keepBytes"));
  auto given = std::make_shared<uint64_t>(0);
  return runOffThread(
      info.Env(),
      [store = handle->store, keep_bytes, given] { *given = store->giveBack(keep_bytes); },
      [given](Napi::Env env) { return fromBytes(env, *given); });
}

Napi::Value storeClose(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = handleOf(info);
  if (handle->store) handle->close();
  return info.Env().Undefined();
}

}  // namespace

void exportStore(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "storeCreate", storeCreate);
  exportFunction(env, exports, "storeOpen", storeOpen);
  exportFunction(env, exports, "storeReserve", storeReserve);
  exportFunction(env, exports, "storeReserveAsync", storeReserveAsync);
  exportFunction(env, exports, "storePut", storePut);
  exportFunction(env, exports, "storeSeal", storeSeal);
  exportFunction(env, exports, "storeAbort", storeAbort);
  exportFunction(env, exports, "storeGet", storeGet);
  exportFunction(env, exports, "storeRelease", storeRelease);
  exportFunction(env, exports, "storeDelete", storeDelete);
  exportFunction(env, exports, "storeList", storeList);
  exportFunction(env, exports, "storeStats", storeStats);
  exportFunction(env, exports, "storeInfo", storeInfo);
  exportFunction(env, exports, "storeGiveBack", storeGiveBack);
  exportFunction(env, exports, "storeClose", storeClose);
}

}  // namespace memdrift::door
