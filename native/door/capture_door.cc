// SPDX-License-Identifier: MIT
// Captures as files: read on the pool, in bounded memory.
#include <limits>
#include <memory>
#include <mutex>

#include "analysis/allocation_table.h"
#include "analysis/record_text.h"
#include "door/doors.h"
#include "door/translate.h"

namespace memdrift::door {

namespace {

Napi::Value countOf(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

// Null: what is resident was never looked up after the start.
Napi::Value growthToJs(Napi::Env env, const Growth& growth) {
  if (growth.parts.empty()) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("atMs", static_cast<double>(growth.time_ns) / 1e6);
  object.Set("fromBytes", countOf(env, growth.from_bytes));
  object.Set("toBytes", countOf(env, growth.to_bytes));
  Napi::Array parts = Napi::Array::New(env, growth.parts.size());
  for (uint32_t i = 0; i < growth.parts.size(); i++) {
    Napi::Object part = Napi::Object::New(env);
    part.Set("cause", growth.parts[i].cause);
    part.Set("bytes", static_cast<double>(growth.parts[i].bytes));
    part.Set("exactness", growth.parts[i].is_estimated ? "estimated" : "exact");
    parts.Set(i, part);
  }
  object.Set("parts", parts);
  object.Set("restBytes", static_cast<double>(growth.rest_bytes));
  return object;
}

// Returns the ending as text, or null when it has none.
Napi::Value endingToJs(Napi::Env env, uint32_t reason) {
  switch (static_cast<EndReason>(reason)) {
    case EndReason::closed:
      return Napi::String::New(env, "closed");
    case EndReason::max_bytes:
      return Napi::String::New(env, "max-bytes");
    case EndReason::write_failed:
      return Napi::String::New(env, "write-failed");
    case EndReason::calls_forbidden:
      return Napi::String::New(env, "calls-forbidden");
  }
  return env.Null();
}

// Every function that allocated.
Napi::Array allocatorsToJs(Napi::Env env, const AllocationSizes& sizes) {
  Napi::Array list = Napi::Array::New(env);
  for (uint32_t hook = 0; hook < kHookCount; hook++) {
    const AllocationSizes::Sum sum = sizes.ofFunction(static_cast<HookId>(hook));
    if (sum.count == 0) continue;
    Napi::Object allocator = Napi::Object::New(env);
    allocator.Set("name", kHooks[hook].name);
    allocator.Set("mapping", kHooks[hook].kind == AllocatorKind::mapping);
    allocator.Set("count", countOf(env, sum.count));
    allocator.Set("bytes", countOf(env, sum.bytes));
    list.Set(list.Length(), allocator);
  }
  return list;
}

// Two numbers per class: count, bytes.
Napi::Value sizesToJs(Napi::Env env, const AllocationSizes& sizes) {
  std::vector<double> numbers;
  for (size_t i = 0; i < AllocationSizes::kClasses; i++) {
    const AllocationSizes::Sum sum = sizes.ofClass(i);
    numbers.push_back(static_cast<double>(sum.count));
    numbers.push_back(static_cast<double>(sum.bytes));
  }
  return toFloat64Array(env, numbers);
}

// Returns the arguments of a text in which each ends with a NUL, as an array.
Napi::Array argumentsToJs(Napi::Env env, const std::string& text) {
  Napi::Array list = Napi::Array::New(env);
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find('\0', at), text.size());
    list.Set(list.Length(), text.substr(at, end - at));
    at = end + 1;
  }
  return list;
}

Napi::Array childrenToJs(Napi::Env env, const ChildPeaks& peaks) {
  Napi::Array list = Napi::Array::New(env);
  for (const ChildPeak& one : peaks.children()) {
    Napi::Object child = Napi::Object::New(env);
    child.Set("pid", one.pid);
    child.Set("parentPid", one.parent_pid);
    child.Set("name", one.name);
    child.Set("argv", argumentsToJs(env, one.arguments));
    child.Set("isNode", one.is_node);
    child.Set("peakRssBytes", countOf(env, one.peak_rss_bytes));
    list.Set(list.Length(), child);
  }
  return list;
}

Napi::Object totalsToJs(Napi::Env env, const CaptureTotals& totals) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("events", countOf(env, totals.counts.events));
  object.Set("allocations", countOf(env, totals.counts.allocations));
  object.Set("frees", countOf(env, totals.counts.frees));
  object.Set("totalBytes", countOf(env, totals.counts.total_bytes));
  object.Set("peakBytes", countOf(env, totals.peak_bytes));
  Napi::Array peak_range = Napi::Array::New(env, 2);
  peak_range.Set(0U, countOf(env, totals.peak_low_bytes));
  peak_range.Set(1U, countOf(env, totals.peak_high_bytes));
  object.Set("peakRangeBytes", peak_range);
  object.Set("peakAtMs", static_cast<double>(totals.peak_ns) / 1e6);
  object.Set("leakedBytes", countOf(env, totals.leaked_bytes));
  object.Set("droppedRecords", countOf(env, totals.dropped_records));
  object.Set("lostThreads", countOf(env, totals.lost_threads));
  object.Set("unknownFrees", countOf(env, totals.counts.unknown_frees));
  object.Set("durationMs", static_cast<double>(totals.duration_ns) / 1e6);
  object.Set("fileBytes", countOf(env, totals.file_bytes));
  object.Set("pid", totals.pid);
  object.Set("children", childrenToJs(env, totals.children));
  object.Set("childrenLeftOut", countOf(env, totals.children.leftOut()));
  const uint64_t ended = totals.children.endedPeakBytes();
  object.Set("endedChildPeakRssBytes", ended == kUnknown ? env.Null() : countOf(env, ended));
  object.Set("sampleBytes", countOf(env, totals.sample_bytes));
  object.Set("allocators", allocatorsToJs(env, totals.sizes));
  object.Set("sizeClasses", sizesToJs(env, totals.sizes));
  object.Set("rssGrowth", growthToJs(env, totals.growth));
  object.Set("info", totals.info);
  object.Set("ending", endingToJs(env, totals.end_reason));
  object.Set("damage", totals.damage.empty() ? env.Null() : Napi::String::New(env, totals.damage));
  return object;
}

Napi::Value lineOf(Napi::Env env, uint32_t number) {
  return number == 0 ? env.Null() : Napi::Number::New(env, number).As<Napi::Value>();
}

Napi::Object frameToJs(Napi::Env env, const StackFrame& frame) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("function", frame.function);
  object.Set("file", frame.file);
  object.Set("functionLine", lineOf(env, frame.function_line));
  object.Set("column", lineOf(env, frame.column));
  object.Set("line", lineOf(env, frame.line));
  object.Set("inlined", frame.is_inlined);
  object.Set("native", frame.is_native);
  object.Set("object", frame.object.empty() ? env.Null() : Napi::String::New(env, frame.object));
  return object;
}

// Null where it is not known.
double known(uint64_t bytes) {
  return bytes == kUnknown ? std::numeric_limits<double>::quiet_NaN() : static_cast<double>(bytes);
}

// Columns by name, NaN for what is not known.
Napi::Object seriesToJs(Napi::Env env, const std::vector<SeriesRow>& rows, uint64_t start_ns) {
  Napi::Object object = Napi::Object::New(env);
  const auto add = [&](const char* name, auto&& value) {
    std::vector<double> column;
    column.reserve(rows.size());
    for (const SeriesRow& row : rows) column.push_back(value(row));
    object.Set(name, toFloat64Array(env, column));
  };
  add("timeMs", [&](const SeriesRow& row) {
    return static_cast<double>(static_cast<int64_t>(row.memory.time_ns - start_ns)) / 1e6;
  });
  add("tracked_bytes", [](const SeriesRow& row) { return static_cast<double>(row.tracked_bytes); });
#define MEMDRIFT_ADD(name) add(#name, [](const SeriesRow& row) { return known(row.memory.name); });
  MEMDRIFT_MEMORY_FIELDS(MEMDRIFT_ADD)
#undef MEMDRIFT_ADD
  return object;
}

struct Reported {
  CaptureTotals totals;
  AllocationTable table;
  std::vector<SeriesRow> series;
  std::vector<TimelineMoment> moments;
};

// Moments, and four numbers per change: moment, row, bytes, count.
Napi::Value timelineToJs(Napi::Env env, const Reported& reported) {
  if (reported.moments.empty()) return env.Null();
  Napi::Array list = Napi::Array::New(env, reported.moments.size());
  for (uint32_t i = 0; i < reported.moments.size(); i++) {
    const TimelineMoment& from = reported.moments[i];
    Napi::Object moment = Napi::Object::New(env);
    const auto since_ns = static_cast<int64_t>(from.time_ns - reported.totals.start_ns);
    moment.Set("timeMs", static_cast<double>(since_ns) / 1e6);
    moment.Set("label", from.label);
    moment.Set("isPeak", from.is_peak);
    list.Set(i, moment);
  }
  std::vector<double> numbers;
  numbers.reserve(reported.table.changes.size() * 4);
  for (const RowChange& change : reported.table.changes)
    for (const double number :
         {double(change.moment), double(change.row), double(change.bytes), double(change.count)})
      numbers.push_back(number);
  Napi::Object object = Napi::Object::New(env);
  object.Set("moments", list);
  object.Set("changes", toFloat64Array(env, numbers));
  return object;
}

template <typename Array, typename Number, typename Value>
Array columnOf(Napi::Env env, const std::vector<TableRow>& rows, Value&& value) {
  Array column = Array::New(env, rows.size());
  Number* to = column.Data();
  for (const TableRow& row : rows) *to++ = static_cast<Number>(value(row));
  return column;
}

// By column: a capture can have a million rows.
Napi::Object rowsToJs(Napi::Env env, const std::vector<TableRow>& rows) {
  Napi::Object object = Napi::Object::New(env);
  const auto addDouble = [&](const char* name, auto&& value) {
    object.Set(name, columnOf<Napi::Float64Array, double>(env, rows, value));
  };
  const auto addNumber = [&](const char* name, auto&& value) {
    object.Set(name, columnOf<Napi::Uint32Array, uint32_t>(env, rows, value));
  };
  addDouble("bytes", [](const TableRow& row) { return row.bytes; });
  addDouble("count", [](const TableRow& row) {
    return row.kind == RowKind::k_jsheap ? std::numeric_limits<double>::quiet_NaN()
                                         : static_cast<double>(row.count);
  });
  addDouble("everBytes", [](const TableRow& row) { return row.ever_bytes; });
  addDouble("everCount", [](const TableRow& row) { return row.ever_count; });
  addNumber("node", [](const TableRow& row) { return row.node; });
  addNumber("thread", [](const TableRow& row) { return row.thread; });
  addNumber("kind", [](const TableRow& row) { return static_cast<uint32_t>(row.kind); });
  return object;
}

Napi::Object tableToJs(Napi::Env env, const AllocationTable& table) {
  Napi::Array frames = Napi::Array::New(env, table.frames.size());
  for (uint32_t i = 0; i < table.frames.size(); i++) frames.Set(i, frameToJs(env, table.frames[i]));
  Napi::Array threads = Napi::Array::New(env, table.threads.size());
  for (uint32_t i = 0; i < table.threads.size(); i++) threads.Set(i, table.threads[i]);
  Napi::Array kinds = Napi::Array::New(env);
#define MEMDRIFT_KIND(name) kinds.Set(kinds.Length(), #name);
  MEMDRIFT_ROW_KINDS(MEMDRIFT_KIND)
#undef MEMDRIFT_KIND
  Napi::Object stacks = Napi::Object::New(env);
  stacks.Set("parent", toUint32Array(env, table.stacks.parents));
  stacks.Set("frame", toUint32Array(env, table.stacks.frames));
  Napi::Object object = Napi::Object::New(env);
  object.Set("totalBytes", countOf(env, table.total_bytes));
  object.Set("leftOutBytes", countOf(env, table.left_out_bytes));
  object.Set("frames", frames);
  object.Set("stacks", stacks);
  object.Set("threads", threads);
  object.Set("kinds", kinds);
  object.Set("rows", rowsToJs(env, table.rows));
  return object;
}

MappingWeight weightOf(const Napi::Value& committed) {
  return committed.ToBoolean() ? MappingWeight::committed : MappingWeight::resident;
}

// captureStats(path, committed): a promise.
Napi::Value captureStats(const Napi::CallbackInfo& info) {
  const std::string path = stringArgument(info[0], "path");
  AnalysisOptions options;
  options.weight = weightOf(info[1]);
  auto totals = std::make_shared<CaptureTotals>();
  return runOffThread(
      info.Env(), [=] { *totals = CaptureAnalysis(path, options).totals(); },
      [=](Napi::Env env) { return totalsToJs(env, *totals); });
}

Moment momentOf(const std::string& name) {
  if (name == "peak") return Moment::peak;
  if (name == "end") return Moment::end;
  if (name == "temporary") return Moment::temporary;
  throw Error(ErrorCode::ERR_INVALID, "moment is " + name + "; it is peak, end or temporary");
}

// captureTable(path, {moment, temporaryThreshold, all, intervals, tailPercent, joinThreads,
// committed}): a promise.
Napi::Value captureTable(const Napi::CallbackInfo& info) {
  const std::string path = stringArgument(info[0], "path");
  const auto given = info[1].As<Napi::Object>();
  const Moment moment = momentOf(stringArgument(given.Get("moment"), "moment"));
  const auto numberOf = [&](const char* name) {
    return static_cast<uint32_t>(integerArgument(given.Get(name), name));
  };
  const AnalysisOptions options = {numberOf("temporaryThreshold"),
                                   given.Get("all").ToBoolean(),
                                   numberOf("intervals"),
                                   numberOf("tailPercent"),
                                   given.Get("joinThreads").ToBoolean(),
                                   weightOf(given.Get("committed"))};
  auto result = std::make_shared<Reported>();
  return runOffThread(
      info.Env(),
      [=] {
        const CaptureAnalysis analysis(path, options);
        *result = {analysis.totals(), analysis.table(moment), analysis.series().rows(),
                   analysis.moments()};
      },
      [=](Napi::Env env) -> Napi::Value {
        Napi::Object object = tableToJs(env, result->table);
        object.Set("stats", totalsToJs(env, result->totals));
        object.Set("series", seriesToJs(env, result->series, result->totals.start_ns));
        object.Set("timeline", timelineToJs(env, *result));
        return object;
      });
}

constexpr size_t kTextBytes = 64 << 10;

struct TextHandle {
  static constexpr napi_type_tag kTag = {0x6d656d6472696674, 0x6361707465787431};
  explicit TextHandle(const std::string& path) : text(path) {}
  std::mutex lock;  // two calls at once are two pool threads
  RecordText text;
};

struct TextShare {
  std::shared_ptr<TextHandle> shared;
};

Napi::Value captureTextOpen(const Napi::CallbackInfo& info) {
  auto handle = std::make_shared<TextHandle>(stringArgument(info[0], "path"));
  return toHandle(info.Env(), std::make_unique<TextShare>(TextShare{std::move(handle)}),
                  TextHandle::kTag);
}

Napi::Value captureTextNext(const Napi::CallbackInfo& info) {
  auto handle = fromHandle<TextShare>(info[0], TextHandle::kTag, "text").shared;
  auto text = std::make_shared<std::string>();
  return runOffThread(
      info.Env(),
      [=] {
        const std::lock_guard hold(handle->lock);
        *text = handle->text.next(kTextBytes);
      },
      [=](Napi::Env env) -> Napi::Value {
        return text->empty() ? env.Null() : Napi::String::New(env, *text).As<Napi::Value>();
      });
}

}  // namespace

void exportCapture(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "captureStats", captureStats);
  exportFunction(env, exports, "captureTable", captureTable);
  exportFunction(env, exports, "captureTextNext", captureTextNext);
  exportFunction(env, exports, "captureTextOpen", captureTextOpen);
}

}  // namespace memdrift::door
