// SPDX-License-Identifier: MIT
// put() and send(): copy the bytes of a view into a new object, on the event loop or on the pool.
//
// The program runs meanwhile. It may transfer, drop or resize the buffer, and close the store or
// segment that owns its memory. So the pool holds the BackingStore while it copies.
#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "door/backing_store.h"
#include "door/doors.h"
#include "door/store_handle.h"
#include "door/store_room.h"
#include "door/translate.h"
#include "shm/checked_copy.h"
#include "shm/store.h"

namespace memdrift::door {

namespace {

// A put of at most this size ends before a thread of the pool would begin it.
constexpr uint64_t kPutHereBytes = 64 * 1024;

// The bytes of a view, valid until JavaScript runs again.
struct Source {
  const uint8_t* bytes = nullptr;
  size_t size_bytes = 0;
  size_t offset_bytes = 0;
  napi_value buffer = nullptr;
};

Source sourceOf(Napi::Env env, napi_value view) {
  Source source;
  napi_typedarray_type type = napi_uint8_array;
  void* bytes = nullptr;
  if (napi_get_typedarray_info(env, view, &type, &source.size_bytes, &bytes, &source.buffer,
                               &source.offset_bytes) != napi_ok ||
      type != napi_uint8_array)
    throw Error(ErrorCode::ERR_INVALID, "the bytes to put are not a Uint8Array");
  source.bytes = static_cast<const uint8_t*>(bytes);
  return source;
}

Error changed(uint64_t wanted_bytes) {
  return Error(ErrorCode::ERR_STATE,
               "the view that is put no longer has its " + std::to_string(wanted_bytes) +
                   " bytes: its buffer was transferred, resized or released; put a copy, or wait "
                   "for put() before you change the buffer");
}

bool mayCopyChecked() {
  static const bool may = canCopyChecked();
  return may;
}

// A put that the pool does, as a whole or in part.
class PoolPut {
 public:
  PoolPut(std::shared_ptr<Store> store, Store::CreateRequest request, Seal seal)
      : store_(std::move(store)), request_(std::move(request)), seal_(seal) {}
  ~PoolPut() {
    if (room_) store_->abort(room_->id);
  }
  PoolPut(const PoolPut&) = delete;

  // Call it on the event loop.
  void begin(Napi::Env env, const Napi::Value& view);
  void onPool();
  Napi::Value finish(Napi::Env env);

 private:
  void copyHere(Napi::Env env);
  Leftover seal();

  std::shared_ptr<Store> store_;
  Store::CreateRequest request_;
  Seal seal_;
  Source source_;
  std::optional<BackingStore> backing_;
  bool can_shrink_ = false;
  // Set where the pool must not touch the source.
  Napi::Reference<Napi::Value> view_;
  std::optional<Room> room_;
  uint64_t id_ = 0;
};

void PoolPut::begin(Napi::Env env, const Napi::Value& view) {
  source_ = sourceOf(env, view);
  backing_ = BackingStore::of(env, source_.buffer);
  can_shrink_ = backing_ && backing_->canShrink();
  if (!backing_ || (can_shrink_ && !mayCopyChecked()))
    view_ = Napi::Reference<Napi::Value>::New(view, 1);
}

void PoolPut::onPool() {
  room_ = store_->create(request_);
  id_ = room_->id;
  if (!view_.IsEmpty()) return;
  if (can_shrink_) {
    if (!copyChecked(room_->bytes, source_.bytes, room_->size_bytes))
      throw changed(request_.size_bytes);
    return;
  }
  if (room_->size_bytes > 0) memcpy(room_->bytes, source_.bytes, room_->size_bytes);
  backing_.reset();
  seal().giveUp();
}

// Ends a put on the event loop where the source can shrink or could not be held. resize() clears
// bytes before it changes the length: only the thread that would run it can trust the length.
Napi::Value PoolPut::finish(Napi::Env env) {
  if (room_) {
    if (!view_.IsEmpty())
      copyHere(env);
    else if (backing_->sizeBytes() < source_.offset_bytes + source_.size_bytes)
      throw changed(request_.size_bytes);
    giveUpOnPool(env, store_, seal());
  }
  return fromBytes(env, id_);
}

void PoolPut::copyHere(Napi::Env env) {
  const Source now = sourceOf(env, view_.Value());
  if (now.size_bytes != request_.size_bytes) throw changed(request_.size_bytes);
  if (now.size_bytes > 0) memcpy(room_->bytes, now.bytes, now.size_bytes);
}

Leftover PoolPut::seal() {
  room_.reset();
  return (*store_.*seal_)(id_);
}

struct SmallPut {
  Store& store;
  Store::CreateRequest request;
  const uint8_t* from;
  Seal seal;
};

// Does a small put on the event loop. Returns nothing when an obstacle stops it, such as another
// process that holds the store's lock: the put then goes to the pool, which may wait for the lock
// and for room.
std::optional<uint64_t> putHere(SmallPut put) {
  if (put.request.size_bytes > kPutHereBytes) return std::nullopt;
  put.request.lock_timeout_us = 0;
  try {
    const Room room = put.store.create(put.request);
    if (room.size_bytes > 0) memcpy(room.bytes, put.from, room.size_bytes);
    (put.store.*put.seal)(room.id).giveUp();
    return room.id;
  } catch (const Error&) {
    return std::nullopt;
  }
}

Napi::Value putBy(const Napi::CallbackInfo& info, Seal seal) {
  const SharedHandle& handle = storeHandleOf(info);
  handle->open();
  Store::CreateRequest request = createRequest(info[2]);
  const Source source = sourceOf(info.Env(), info[1]);
  // The view changed while put() waited for room: an error is better than an object with other
  // bytes.
  if (request.size_bytes != source.size_bytes) throw changed(request.size_bytes);
  if (const auto made = putHere({*handle->store, request, source.bytes, seal}))
    return fromBytes(info.Env(), *made);
  forPool(request);
  auto put = std::make_shared<PoolPut>(handle->store, request, seal);
  put->begin(info.Env(), info[1]);
  return runOffThread(
      info.Env(), [put] { put->onPool(); }, [put](Napi::Env env) { return put->finish(env); });
}

Napi::Value storePut(const Napi::CallbackInfo& info) { return putBy(info, &Store::seal); }

Napi::Value storePutHeld(const Napi::CallbackInfo& info) { return putBy(info, &Store::sealHeld); }

}  // namespace

void exportStorePut(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "storePut", storePut);
  exportFunction(env, exports, "storePutHeld", storePutHeld);
}

}  // namespace memdrift::door
