// SPDX-License-Identifier: MIT
// What JavaScript is told of a store.
#include <sys/stat.h>

#include <string>

#include "door/doors.h"
#include "door/store_handle.h"
#include "door/translate.h"
#include "door/uncounted_buffer.h"

namespace memdrift::door {

namespace {

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
  result.Set("site", one.site);
  result.Set("elements", fromElements(env, one.object.elements));
  Napi::Array holders = Napi::Array::New(env, one.holders.size());
  for (uint32_t i = 0; i < one.holders.size(); i++) holders.Set(i, fromHolder(env, one.holders[i]));
  result.Set("holders", holders);
  return result;
}

Napi::Value storeList(const Napi::CallbackInfo& info) {
  const std::vector<ObjectInfo> infos = storeHandleOf(info)->open().list();
  Napi::Array result = Napi::Array::New(info.Env(), infos.size());
  for (uint32_t i = 0; i < infos.size(); i++) result.Set(i, fromInfo(info.Env(), infos[i]));
  return result;
}

Napi::Value storeStats(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const StoreStats stats = storeHandleOf(info)->open().stats();
  Napi::Object result = Napi::Object::New(env);
  result.Set("capacityBytes", fromBytes(env, stats.capacity_bytes));
  result.Set("liveBytes", fromBytes(env, stats.live_bytes));
  result.Set("arenaBytes", fromBytes(env, stats.arena_bytes));
  result.Set("residentBytes", fromBytes(env, stats.resident_bytes));
  result.Set("objects", stats.objects);
  result.Set("clients", stats.clients);
  result.Set("puts", fromBytes(env, stats.puts));
  result.Set("gets", fromBytes(env, stats.gets));
  result.Set("evictions", fromBytes(env, stats.evictions));
  result.Set("evict", stats.when_full == WhenFull::kEvict);
  result.Set("placement", stats.placement == Placement::kRotate ? "rotate" : "lowest");
  return result;
}

// Which of the segments that ever had this name it is, also between containers.
std::string identityOf(const Segment& segment) {
  struct stat status{};
  if (fstat(segment.fd(), &status) != 0) throw Error::fromErrno("fstat", segment.path());
  return std::to_string(status.st_dev) + ":" + std::to_string(status.st_ino);
}

Napi::Value storeInfo(const Napi::CallbackInfo& info) {
  const Store& store = storeHandleOf(info)->open();
  Napi::Object result = Napi::Object::New(info.Env());
  result.Set("name", store.segment().name());
  result.Set("path", store.segment().path());
  result.Set("identity", identityOf(store.segment()));
  result.Set("sites", store.withSites());
  result.Set("viewsAreExternal", !hasUncountedBuffers());
  result.Set("consumerViews", store.mapsWholeArena() ? "mapped" : "mapped-each");
  return result;
}

}  // namespace

void exportStoreLook(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "storeList", storeList);
  exportFunction(env, exports, "storeStats", storeStats);
  exportFunction(env, exports, "storeInfo", storeInfo);
}

}  // namespace memdrift::door
