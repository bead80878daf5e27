// SPDX-License-Identifier: MIT
// Stores as JavaScript sees them: a handle per attachment, an ArrayBuffer per (object, access).
#include <memory>
#include <string>
#include <utility>

#include "door/doors.h"
#include "door/store_handle.h"
#include "door/store_room.h"
#include "door/translate.h"
#include "door/views.h"
#include "shm/store.h"

namespace memdrift::door {

namespace {

// Who receives asks the pool instead.
constexpr uint64_t kTakeHereUs = 1'000;
// Somebody else will give pages back if we do not.
constexpr uint64_t kGiveBackTimeoutUs = 200'000;

uint64_t idArgument(const Napi::Value& value) {
  const int64_t id = integerArgument(value, "id");
  if (id < 0) throw Error(ErrorCode::ERR_INVALID, "an object id is not negative");
  return static_cast<uint64_t>(id);
}

AttachOptions attachOptions(const Napi::Object& options) {
  AttachOptions attach;
  attach.trim = options.Get("trim").ToBoolean();
  attach.read_only = options.Get("readOnly").ToBoolean();
  attach.label = stringArgument(options.Get("label"), "label");
  attach.whole_arena = !options.Get("mapEach").ToBoolean();
  return attach;
}

// Attaches on the pool: the lock may have to be waited for.
Napi::Value attach(Napi::Env env, std::function<std::shared_ptr<Store>()> make) {
  auto made = std::make_shared<std::shared_ptr<Store>>();
  return runOffThread(
      env, [made, make = std::move(make)] { *made = make(); },
      [made](Napi::Env on) { return toStoreHandle(on, std::move(*made)); });
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
  store.when_full = options.Get("evict").ToBoolean() ? WhenFull::kEvict : WhenFull::kKeep;
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
Napi::Value adopt(Napi::Env env, const SharedHandle& handle, const Room& room) {
  std::unique_ptr<SharedView> view;
  try {
    view = std::make_unique<SharedView>(env, SharedMemory{room.bytes, room.size_bytes},
                                        [weak = std::weak_ptr<StoreHandle>(handle), id = room.id] {
                                          if (const SharedHandle alive = weak.lock())
                                            alive->forgetFilling(id);
                                        });
  } catch (...) {
    handle->store->abort(room.id);
    throw;
  }
  Napi::Object result = Napi::Object::New(env);
  result.Set("id", fromBytes(env, room.id));
  result.Set("buffer", view->buffer());
  using Mapped = std::pair<std::shared_ptr<Store>, std::shared_ptr<Mapping>>;
  handle->fillings[room.id] = {std::move(view), std::make_shared<Mapped>(handle->store, room.own)};
  return result;
}

Napi::Value storeReserve(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  return adopt(info.Env(), handle, handle->open().create(createRequest(info[1])));
}

Napi::Value storeReserveAsync(const Napi::CallbackInfo& info) {
  const SharedHandle handle = storeHandleOf(info);
  handle->open();
  Store::CreateRequest request = createRequest(info[1]);
  forPool(request);
  auto room = std::make_shared<Room>();
  return runOffThread(
      info.Env(), [store = handle->store, request, room] { *room = store->create(request); },
      [handle, room](Napi::Env env) {
        // Closed meanwhile: the Store's end gives the room back.
        handle->open();
        return adopt(env, handle, *room);
      });
}

const Filling& fillingOf(const StoreHandle& handle, uint64_t id) {
  handle.open();
  const auto found = handle.fillings.find(id);
  if (found != handle.fillings.end()) return found->second;
  throw Error(ErrorCode::ERR_STATE,
              "object " + std::to_string(id) + " is sealed or aborted already");
}

Napi::Value sealBy(const Napi::CallbackInfo& info, Seal seal) {
  const SharedHandle& handle = storeHandleOf(info);
  const uint64_t id = idArgument(info[1]);
  const Filling& filling = fillingOf(*handle, id);
  SharedView& view = *filling.view;
  if (view.isMoved())
    throw Error(ErrorCode::ERR_STATE,
                "the bytes of object " + std::to_string(id) +
                    " were moved to another buffer or thread, which could still write to them: it "
                    "cannot be sealed; abort it, and make an object of a copy");
  // Detached first: from the moment of the seal on, nobody can write through it.
  view.keep(filling.mapping);
  view.detach();
  handle->fillings.erase(id);
  giveUpOnPool(info.Env(), handle->store, (*handle->store.*seal)(id));
  return info.Env().Undefined();
}

Napi::Value storeSeal(const Napi::CallbackInfo& info) { return sealBy(info, &Store::seal); }

Napi::Value storeSealHeld(const Napi::CallbackInfo& info) { return sealBy(info, &Store::sealHeld); }

Napi::Value storeAbort(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  const uint64_t id = idArgument(info[1]);
  fillingOf(*handle, id);
  handle->forgetFilling(id);
  return info.Env().Undefined();
}

Napi::Value storeGet(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  const uint64_t id = idArgument(info[1]);
  return adoptReading(info.Env(), handle, {id, handle->open().get(id)});
}

// Page-table entries for all of an object that is held here, on the pool.
Napi::Value storePopulate(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  handle->open();
  const uint64_t id = idArgument(info[1]);
  auto held = std::make_shared<HeldReading>(handle->store, id);
  return runOffThread(
      info.Env(),
      [store = handle->store, id, held = std::move(held)]() mutable {
        store->populate(id);
        held.reset();
      },
      [](Napi::Env env) { return env.Undefined(); });
}

// What the bytes of an object are that is held here.
Napi::Value storeElements(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  handle->open();
  const uint64_t id = idArgument(info[1]);
  const auto found = handle->readings.find(id);
  if (found == handle->readings.end())
    throw Error(ErrorCode::ERR_STATE, "object " + std::to_string(id) + " is not held here");
  return fromElements(info.Env(), found->second.memory.elements);
}

Napi::Value storeRelease(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  const uint64_t id = idArgument(info[1]);
  const auto found = handle->readings.find(id);
  // close() has released everything.
  if (!handle->store || found == handle->readings.end()) return info.Env().Undefined();
  if (found->second.count == 1) {
    handle->forgetReading(id);
  } else {
    found->second.count--;
    handle->store->release(id);
  }
  return info.Env().Undefined();
}

Napi::Value storeTake(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  const uint64_t id = idArgument(info[1]);
  return adoptReading(info.Env(), handle, {id, handle->open().take(id, kTakeHereUs)});
}

Napi::Value storeTakeAsync(const Napi::CallbackInfo& info) {
  const SharedHandle handle = storeHandleOf(info);
  handle->open();
  const uint64_t id = idArgument(info[1]);
  auto memory = std::make_shared<View>();
  return runOffThread(
      info.Env(),
      [store = handle->store, id, memory] { *memory = store->take(id, kPoolTimeoutUs); },
      [handle, id, memory](Napi::Env env) {
        // Closed meanwhile: the Store's end gives the reference up.
        handle->open();
        return adoptReading(env, handle, {id, *memory});
      });
}

// A reference without a view.
Napi::Value storeHold(const Napi::CallbackInfo& info) {
  storeHandleOf(info)->open().holdOrGet(idArgument(info[1]));
  return info.Env().Undefined();
}

Napi::Value storeLetGo(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  // close() has released everything.
  if (handle->store) handle->store->letGo(idArgument(info[1]));
  return info.Env().Undefined();
}

Napi::Value storeClaimChannel(const Napi::CallbackInfo& info) {
  const auto key = static_cast<uint64_t>(integerArgument(info[1], "key"));
  return Napi::Boolean::New(info.Env(), storeHandleOf(info)->open().claimChannel(key));
}

Napi::Value storeDropChannel(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  if (handle->store)
    handle->store->dropChannel(static_cast<uint64_t>(integerArgument(info[1], "key")));
  return info.Env().Undefined();
}

// Returns the state of the channel's receiver: a NativeReceiver of src/door.ts.
Napi::Value storeReceiver(const Napi::CallbackInfo& info) {
  static constexpr const char* kNames[] = {"never", "alive",       "closed",
                                           "gone",  "makerClosed", "makerGone"};
  const auto key = static_cast<uint64_t>(integerArgument(info[1], "key"));
  const ReceiverState state = storeHandleOf(info)->open().receiver(key);
  return Napi::String::New(info.Env(), kNames[static_cast<size_t>(state)]);
}

Napi::Value storeDelete(const Napi::CallbackInfo& info) {
  storeHandleOf(info)->open().remove(idArgument(info[1]));
  return info.Env().Undefined();
}

Napi::Value storeGiveBack(const Napi::CallbackInfo& info) {
  const SharedHandle& handle = storeHandleOf(info);
  handle->open();
  const uint64_t keep_bytes = static_cast<uint64_t>(integerArgument(info[1], "keepBytes"));
  auto given = std::make_shared<uint64_t>(0);
  return runOffThread(
      info.Env(),
      [store = handle->store, keep_bytes, given] {
        *given = store->giveBack(keep_bytes, kGiveBackTimeoutUs);
      },
      [given](Napi::Env env) { return fromBytes(env, *given); });
}

Napi::Value storeClose(const Napi::CallbackInfo& info) {
  storeHandleOf(info)->close();
  return info.Env().Undefined();
}

}  // namespace

void exportStore(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "storeCreate", storeCreate);
  exportFunction(env, exports, "storeOpen", storeOpen);
  exportFunction(env, exports, "storeReserve", storeReserve);
  exportFunction(env, exports, "storeReserveAsync", storeReserveAsync);
  exportFunction(env, exports, "storeSeal", storeSeal);
  exportFunction(env, exports, "storeAbort", storeAbort);
  exportFunction(env, exports, "storeGet", storeGet);
  exportFunction(env, exports, "storePopulate", storePopulate);
  exportFunction(env, exports, "storeElements", storeElements);
  exportFunction(env, exports, "storeRelease", storeRelease);
  exportFunction(env, exports, "storeDelete", storeDelete);
  exportFunction(env, exports, "storeSealHeld", storeSealHeld);
  exportFunction(env, exports, "storeTake", storeTake);
  exportFunction(env, exports, "storeTakeAsync", storeTakeAsync);
  exportFunction(env, exports, "storeHold", storeHold);
  exportFunction(env, exports, "storeLetGo", storeLetGo);
  exportFunction(env, exports, "storeClaimChannel", storeClaimChannel);
  exportFunction(env, exports, "storeDropChannel", storeDropChannel);
  exportFunction(env, exports, "storeReceiver", storeReceiver);
  exportFunction(env, exports, "storeGiveBack", storeGiveBack);
  exportFunction(env, exports, "storeClose", storeClose);
  exportStorePut(env, exports);
  exportStoreLook(env, exports);
}

}  // namespace memdrift::door
