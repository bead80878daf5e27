// SPDX-License-Identifier: MIT
// Shared by the calls that make an object: reading the request, and sealing.
#pragma once

#include <napi.h>

#include <cstdint>
#include <memory>

#include "door/store_handle.h"
#include "shm/store.h"

namespace memdrift::door {

// How long to wait for the table's lock on the event loop. A holder needs microseconds; one that an
// overloaded machine has suspended runs again within tens of milliseconds. A wait of that length is
// better than an unexpected error. A thread of the pool may wait longer.
inline constexpr uint64_t kLoopTimeoutUs = 100'000;
inline constexpr uint64_t kPoolTimeoutUs = 5'000'000;

// Reads a NativeCreateRequest of src/door.ts, for a call on the event loop.
Store::CreateRequest createRequest(const Napi::Value& argument);
// Changes the request into one for the pool.
void forPool(Store::CreateRequest& request);

using Seal = Leftover (Store::*)(uint64_t);
// Releases on the pool what a seal leaves behind: 8 ms per 100 MB are too long for the event loop.
void giveUpOnPool(Napi::Env env, const std::shared_ptr<Store>& store, Leftover leftover);

// The calls that copy bytes into a new object; store_put.cc.
void exportStorePut(Napi::Env env, Napi::Object exports);

}  // namespace memdrift::door
