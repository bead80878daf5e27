// SPDX-License-Identifier: MIT
// What one environment has of a store: the attachment, and the buffers that JavaScript can reach.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>
#include <unordered_map>
#include <utility>

#include "door/views.h"
#include "shm/store.h"

namespace memdrift::door {

// An object that this environment fills.
struct Filling {
  std::unique_ptr<SharedView> view;
  // Keeps its bytes mapped past the seal.
  std::shared_ptr<void> mapping;
};

// An object that this environment reads: one buffer, however often it was got.
struct Reading {
  std::unique_ptr<SharedView> view;
  View memory;
  uint64_t count;
};

// Lives on the environment's thread. The Store itself is shared with work on the pool, which must
// find its memory there even when it ends after close().
struct StoreHandle {
  std::shared_ptr<Store> store;
  std::unordered_map<uint64_t, Filling> fillings;
  std::unordered_map<uint64_t, Reading> readings;

  // Throws ERR_CLOSED.
  Store& open() const;
  // Detaches every buffer and gives up every reference. May be called again.
  void close();
  // Ends a reading or a filling, also one whose buffer JavaScript has dropped.
  void forgetReading(uint64_t id);
  void forgetFilling(uint64_t id);

  ~StoreHandle() { close(); }
};

// One more reference to an object that is held, for who reads its view later or elsewhere: work on
// the pool, a buffer that a script has moved. Lives and ends on any thread.
class HeldReading {
 public:
  // Throws ERR_STATE when it is not held.
  HeldReading(std::shared_ptr<Store> store, uint64_t id) : store_(std::move(store)), id_(id) {
    store_->hold(id_);
  }
  ~HeldReading() { store_->release(id_); }
  HeldReading(const HeldReading&) = delete;

 private:
  std::shared_ptr<Store> store_;
  uint64_t id_;
};

// The handle as a shared pointer, so that a finalizer of a view that outlives it finds it gone.
using SharedHandle = std::shared_ptr<StoreHandle>;

Napi::Value toStoreHandle(Napi::Env env, std::shared_ptr<Store> store);
// The first argument of every call on a store.
SharedHandle& storeHandleOf(const Napi::CallbackInfo& info);

// A view that the caller has a reference for, and the object that it is of.
struct Got {
  uint64_t id;
  View memory;
};
// Its buffer, the same as long as JavaScript has it; the reference is the buffer's from now on.
Napi::Value adoptReading(Napi::Env env, const SharedHandle& handle, const Got& got);

Napi::Value fromBytes(Napi::Env env, uint64_t bytes);
// {elementType, elementBytes, shape}; see NativeElements of src/door.ts.
Napi::Object fromElements(Napi::Env env, const Elements& elements);

// The calls that only look at a store; store_look_door.cc.
void exportStoreLook(Napi::Env env, Napi::Object exports);

}  // namespace memdrift::door
