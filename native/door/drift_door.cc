// SPDX-License-Identifier: MIT
#include "door/doors.h"
#include "door/translate.h"
#include "drift/malloc_report.h"

namespace memdrift::door {

namespace {

Napi::Value toNumber(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

Napi::Value toPart(Napi::Env env, const Part& part) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", toNumber(env, part.bytes));
  object.Set("residentBytes", toNumber(env, part.resident_bytes));
  return object;
}

// Starts and ends, in turns.
Napi::Value toRanges(Napi::Env env, const std::vector<AddressRange>& ranges) {
  std::vector<double> numbers;
  numbers.reserve(2 * ranges.size());
  for (const AddressRange& range : ranges) {
    numbers.push_back(static_cast<double>(range.start));
    numbers.push_back(static_cast<double>(range.end));
  }
  return toFloat64Array(env, numbers);
}

Napi::Value toTextOrNull(Napi::Env env, const std::string& text) {
  return text.empty() ? env.Null() : Napi::String::New(env, text).As<Napi::Value>();
}

Napi::Value toArena(Napi::Env env, const ArenaReport& arena) {
  const ArenaFigures& figures = arena.figures;
  Napi::Object object = Napi::Object::New(env);
  object.Set("isMain", figures.is_main);
  object.Set("isWhole", figures.is_whole);
  object.Set("systemBytes", toNumber(env, figures.system_bytes));
  object.Set("chunks", toNumber(env, figures.chunks));
  object.Set("all", toPart(env, figures.all));
  object.Set("inUse", toPart(env, figures.in_use));
  object.Set("threadCache", toPart(env, figures.thread_cache));
  object.Set("fastBins", toPart(env, figures.fast));
  object.Set("free", toPart(env, figures.free));
  object.Set("top", toPart(env, figures.top));
  object.Set("other", toPart(env, figures.other));
  object.Set("trimBytes", toNumber(env, figures.trim_bytes));
  object.Set("trimTopBytes", toNumber(env, figures.trim_top_bytes));
  object.Set("ranges", toRanges(env, arena.ranges));
  return object;
}

Napi::Value toMapped(Napi::Env env, const std::optional<MappedBlocks>& mapped) {
  if (!mapped) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("count", toNumber(env, mapped->count));
  object.Set("bytes", toNumber(env, mapped->bytes));
  object.Set("residentBytes",
             mapped->resident_bytes ? toNumber(env, *mapped->resident_bytes) : env.Null());
  object.Set("ranges", toRanges(env, mapped->ranges));
  return object;
}

Napi::Value mallocReport(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const MallocReport report = readOwnMalloc();
  Napi::Object object = Napi::Object::New(env);
  object.Set("allocator", report.allocator);
  object.Set("whyNot", toTextOrNull(env, report.why_not));
  object.Set("whyEstimated", toTextOrNull(env, report.why_estimated));
  Napi::Array arenas = Napi::Array::New(env, report.arenas.size());
  for (uint32_t i = 0; i < report.arenas.size(); i++) arenas.Set(i, toArena(env, report.arenas[i]));
  object.Set("arenas", arenas);
  object.Set("mapped", toMapped(env, report.mapped));
  object.Set("threadCaches", report.thread_caches);
  object.Set("trimBytes", toNumber(env, report.trim_bytes));
  object.Set("forkMs", report.fork_ms);
  object.Set("walkMs", report.walk_ms);
  return object;
}

}  // namespace

void exportDrift(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "mallocReport", mallocReport);
}

}  // namespace memdrift::door
