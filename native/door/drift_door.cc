// SPDX-License-Identifier: MIT
#include <unistd.h>

#include "capture/own_mappings.h"
#include "capture/own_pages.h"
#include "door/doors.h"
#include "door/translate.h"
#include "drift/malloc_report.h"
#include "drift/process_parts.h"

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
  object.Set("buffers", toPart(env, figures.buffers));
  object.Set("threadCache", toPart(env, figures.thread_cache));
  object.Set("fastBins", toPart(env, figures.fast));
  object.Set("free", toPart(env, figures.free));
  object.Set("top", toPart(env, figures.top));
  object.Set("other", toPart(env, figures.other));
  object.Set("trimBytes", toNumber(env, figures.trim_bytes));
  object.Set("trimTopBytes", toNumber(env, figures.trim_top_bytes));
  object.Set("looseEndBytes", toNumber(env, figures.loose_end_bytes));
  object.Set("largeHoleBytes", toNumber(env, figures.large_hole_bytes));
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

Napi::Value toBuffers(Napi::Env env, const MallocReport& report) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("isWhole", report.buffers.is_whole);
  object.Set("count", toNumber(env, report.buffers.count));
  object.Set("lengthBytes", toNumber(env, report.buffers.length_bytes));
  object.Set("inBlocks", toPart(env, report.buffers.in_blocks));
  object.Set("elsewhere", toRanges(env, report.buffers_elsewhere));
  return object;
}

Napi::Value toStrings(Napi::Env env, const StringFigures& strings) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("isWhole", strings.is_whole);
  object.Set("count", toNumber(env, strings.count));
  object.Set("lengthBytes", toNumber(env, strings.length_bytes));
  object.Set("blocks", toPart(env, strings.blocks));
  return object;
}

Napi::Value toOwn(Napi::Env env, const std::optional<OwnStatistics>& own) {
  if (!own) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("allocatedBytes", toNumber(env, own->allocated_bytes));
  object.Set("activeBytes", toNumber(env, own->active_bytes));
  object.Set("residentBytes", toNumber(env, own->resident_bytes));
  object.Set("retainedBytes", toNumber(env, own->retained_bytes));
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
  object.Set("buffers", toBuffers(env, report));
  object.Set("strings", toStrings(env, report.strings));
  object.Set("own", toOwn(env, report.own));
  object.Set("threadCaches", report.thread_caches);
  object.Set("trimBytes", toNumber(env, report.trim_bytes));
  object.Set("forkMs", report.fork_ms);
  object.Set("walkMs", report.walk_ms);
  return object;
}

pid_t pidArgument(const Napi::CallbackInfo& info) {
  return static_cast<pid_t>(integerArgument(info[0], "pid"));
}

// threadBlocks(pid): addresses; pid -1 is this process.
Napi::Value threadBlocks(const Napi::CallbackInfo& info) {
  const std::vector<uint64_t> blocks = findThreadBlocks(pidArgument(info));
  return toFloat64Array(info.Env(), std::vector<double>(blocks.begin(), blocks.end()));
}

// residentIn(pid, ranges): bytes of each, or null where the kernel does not say.
Napi::Value residentIn(const Napi::CallbackInfo& info) {
  const pid_t pid = pidArgument(info);
  if (!info[1].IsTypedArray() ||
      info[1].As<Napi::TypedArray>().TypedArrayType() != napi_float64_array)
    throw Error(ErrorCode::ERR_INVALID, "ranges is not a Float64Array");
  const auto numbers = info[1].As<Napi::Float64Array>();
  std::vector<AddressRange> ranges;
  ranges.reserve(numbers.ElementLength() / 2);
  for (size_t i = 0; i + 1 < numbers.ElementLength(); i += 2)
    ranges.push_back({static_cast<uint64_t>(numbers[i]), static_cast<uint64_t>(numbers[i + 1])});
  const auto resident = memdrift::residentIn(pid, ranges);
  if (!resident) return info.Env().Null();
  return toFloat64Array(info.Env(), std::vector<double>(resident->begin(), resident->end()));
}

// ownRanges(): starts and ends of what memdrift has mapped for itself in this process.
Napi::Value ownRanges(const Napi::CallbackInfo& info) {
  std::vector<AddressRange> ranges;
  const auto add = [&](const void* data, size_t bytes) {
    const auto start = reinterpret_cast<uint64_t>(data);
    const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
    ranges.push_back({start, (start + bytes + page - 1) / page * page});
  };
  OwnPages::forEach(add);
  OwnMappings::forEach(add);
  return toRanges(info.Env(), ranges);
}

}  // namespace

void exportDrift(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "mallocReport", mallocReport);
  exportFunction(env, exports, "threadBlocks", threadBlocks);
  exportFunction(env, exports, "residentIn", residentIn);
  exportFunction(env, exports, "ownRanges", ownRanges);
}

}  // namespace memdrift::door
