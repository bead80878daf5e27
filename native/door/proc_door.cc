// SPDX-License-Identifier: MIT
// procRead and procParse: one text of /proc in, columns or an object out. NaN crosses as NaN; the
// TypeScript side makes null of it where single values are handed out.
#include <memory>
#include <optional>

#include "door/doors.h"
#include "door/translate.h"
#include "proc/counters.h"
#include "proc/maps.h"
#include "proc/residency.h"
#include "proc/smaps.h"

namespace memdrift::door {

namespace {

Napi::Object mappingsToJs(Napi::Env env, const MappingTable& table) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("length", static_cast<double>(table.size()));
  object.Set("startAddress", toFloat64Array(env, table.start_address));
  object.Set("endAddress", toFloat64Array(env, table.end_address));
  object.Set("offsetBytes", toFloat64Array(env, table.offset_bytes));
  object.Set("deviceMajor", toUint32Array(env, table.device_major));
  object.Set("deviceMinor", toUint32Array(env, table.device_minor));
  auto inode = Napi::BigUint64Array::New(env, table.size());
  std::copy(table.inode.begin(), table.inode.end(), inode.Data());
  object.Set("inode", inode);
  object.Set("permissions", toUint32Array(env, table.permissions));
  object.Set("name", toUint32Array(env, table.name));
  object.Set("deleted", toUint32Array(env, table.deleted));
  object.Set("strings", toStringArray(env, table.strings.strings()));
  return object;
}

constexpr const char* kSmapsFieldNames[] = {
#define MEMDRIFT_NAME(kernel, name, js) #js,
    MEMDRIFT_SMAPS_FIELDS(MEMDRIFT_NAME)
#undef MEMDRIFT_NAME
};

Napi::Value smapsToJs(Napi::Env env, const SmapsTable& table) {
  Napi::Object object = mappingsToJs(env, table.mappings);
  Napi::Object columns = Napi::Object::New(env);
  for (size_t i = 0; i < kSmapsFieldCount; i++)
    if (!table.columns[i].empty())
      columns.Set(kSmapsFieldNames[i], toFloat64Array(env, table.columns[i]));
  object.Set("columns", columns);
  object.Set("vmFlags", toUint32Array(env, table.vm_flags));
  // Lists, not properties: these names come from the text and could be anything.
  Napi::Array names = Napi::Array::New(env), unknown = Napi::Array::New(env);
  for (uint32_t i = 0; i < table.unknown_fields.size(); i++) {
    names.Set(i, table.unknown_fields[i].name);
    unknown.Set(i, toFloat64Array(env, table.unknown_fields[i].values));
  }
  object.Set("unknownNames", names);
  object.Set("unknownColumns", unknown);
  return object;
}

Napi::Value mapsToJs(Napi::Env env, const MappingTable& table) { return mappingsToJs(env, table); }

Napi::Value rollupToJs(Napi::Env env, const Rollup& rollup) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("source", rollup.source == Rollup::Source::kRollup ? "rollup" : "smaps");
  object.Set("ussBytes", rollup.ussBytes());
  for (size_t i = 0; i < kSmapsFieldCount; i++) object.Set(kSmapsFieldNames[i], rollup.values[i]);
  return object;
}

Napi::Value countersToJs(Napi::Env env, const Counters& counters) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("pid", counters.pid);
  object.Set("name", counters.name);
  object.Set("state", std::string(1, counters.state));
  object.Set("parentPid", counters.parent_pid);
  object.Set("uid", counters.uid);
  object.Set("effectiveUid", counters.effective_uid);
  object.Set("threads", counters.threads);
  if (counters.signals_caught)
    object.Set("signalsCaught", Napi::BigInt::New(env, *counters.signals_caught));
  object.Set("sharedBytes", counters.shared_bytes);
  object.Set("startTimeTicks", counters.start_time_ticks);
  object.Set("userTicks", counters.user_ticks);
  object.Set("systemTicks", counters.system_ticks);
#define MEMDRIFT_SET(kernel, name, js) object.Set(#js, counters.name);
  MEMDRIFT_STATUS_FIELDS(MEMDRIFT_SET)
#undef MEMDRIFT_SET
  return object;
}

Napi::Value statmToJs(Napi::Env env, const Statm& statm) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("vmSizeBytes", statm.vm_size_bytes);
  object.Set("rssBytes", statm.rss_bytes);
  object.Set("sharedBytes", statm.shared_bytes);
  object.Set("textBytes", statm.text_bytes);
  object.Set("libraryBytes", statm.library_bytes);
  object.Set("dataBytes", statm.data_bytes);
  object.Set("dirtyBytes", statm.dirty_bytes);
  return object;
}

Napi::Value residencyToJs(Napi::Env env, const Residency& residency) {
  Napi::Object object = mappingsToJs(env, residency.mappings);
  object.Set("source", residency.source == Residency::Source::kPagemap ? "pagemap" : "smaps");
  object.Set("reason", residency.reason);
  object.Set("rssBytes", toFloat64Array(env, residency.rss_bytes));
  object.Set("anonymousBytes", toFloat64Array(env, residency.anonymous_bytes));
  object.Set("fileBytes", toFloat64Array(env, residency.file_bytes));
  object.Set("swapBytes", toFloat64Array(env, residency.swap_bytes));
  return object;
}

struct ReadRequest {
  Napi::Env env;
  pid_t pid;
  bool off_thread;
};

template <typename Result>
Napi::Value readAndConvert(const ReadRequest& request, Result (*read)(pid_t),
                           Napi::Value (*convert)(Napi::Env, const Result&)) {
  if (!request.off_thread) return convert(request.env, read(request.pid));
  auto result = std::make_shared<std::optional<Result>>();
  return runOffThread(
      request.env, [result, read, pid = request.pid] { result->emplace(read(pid)); },
      [result, convert](Napi::Env env) { return convert(env, **result); });
}

MappingTable readMapsOf(pid_t pid) { return readMaps(pid); }

// procRead(pid, source, offThread): an object, or a promise of one. pid -1 is this process.
Napi::Value procRead(const Napi::CallbackInfo& info) {
  const ReadRequest request{info.Env(), static_cast<pid_t>(integerArgument(info[0], "pid")),
                            info[2].ToBoolean().Value()};
  const std::string source = stringArgument(info[1], "source");
  if (source == "smaps") return readAndConvert(request, readSmaps, smapsToJs);
  if (source == "maps") return readAndConvert(request, readMapsOf, mapsToJs);
  if (source == "rollup") return readAndConvert(request, readRollup, rollupToJs);
  if (source == "counters") return readAndConvert(request, readCounters, countersToJs);
  if (source == "residency") return readAndConvert(request, readResidency, residencyToJs);
  throw Error(ErrorCode::ERR_INVALID, "procRead has no source " + source);
}

Counters parseWith(void (*parse)(std::string_view, Counters&), std::string_view text) {
  Counters counters;
  parse(text, counters);
  return counters;
}

// procParse(bytes, source, pageSizeBytes): the same objects from text that the caller has.
Napi::Value procParse(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsTypedArray()) throw Error(ErrorCode::ERR_INVALID, "bytes is not a Uint8Array");
  const auto bytes = info[0].As<Napi::Uint8Array>();
  const std::string_view text(reinterpret_cast<const char*>(bytes.Data()), bytes.ByteLength());
  const std::string source = stringArgument(info[1], "source");
  if (source == "smaps") return smapsToJs(env, parseSmaps(text));
  if (source == "maps") return mapsToJs(env, parseMaps(text));
  if (source == "rollup") return rollupToJs(env, parseRollup(text));
  if (source == "status") return countersToJs(env, parseWith(parseStatus, text));
  if (source == "stat") return countersToJs(env, parseWith(parseStat, text));
  if (source == "statm")
    return statmToJs(
        env, parseStatm(text, static_cast<uint64_t>(integerArgument(info[2], "pageSizeBytes"))));
  throw Error(ErrorCode::ERR_INVALID, "procParse has no source " + source);
}

}  // namespace

void exportProc(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "procParse", procParse);
  exportFunction(env, exports, "procRead", procRead);
}

}  // namespace memdrift::door
