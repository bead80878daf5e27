// SPDX-License-Identifier: MIT
// What the calls share that make an object: how it is asked for, and how it is sealed.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "door/store_handle.h"
#include "shm/store.h"

namespace memdrift::door {

// How long to wait for the table's lock. A holder needs microseconds; one that an overloaded
// machine has put aside is back in some tens of milliseconds. To wait that long on the event loop
// once is better than an unexpected error. A thread of the pool may wait.
inline constexpr uint64_t kLoopTimeoutUs = 100'000;
inline constexpr uint64_t kPoolTimeoutUs = 5'000'000;

// A NativeCreateRequest of src/door.ts, for the event loop.
Store::CreateRequest createRequest(const Napi::Value& argument);
// Makes it one for the pool.
void forPool(Store::CreateRequest& request);

using Seal = Leftover (Store::*)(uint64_t);
// Gives up on the pool what a seal on the event loop leaves: 8 ms per 100 MB are too long for it.
void giveUpOnPool(Napi::Env env, const std::shared_ptr<Store>& store, Leftover leftover);

// The calls that copy bytes into a new object; store_put.cc.
void exportStorePut(Napi::Env env, Napi::Object exports);

}  // namespace memdrift::door
