// SPDX-License-Identifier: MIT
// procRead and procParse: one text of /proc in, columns or an object out. NaN crosses as NaN; the
// TypeScript side makes null of it where single values are handed out.
#include <sys/sysmacros.h>

#include <memory>
#include <optional>

#include "door/doors.h"
#include "door/translate.h"
#include "proc/counters.h"
#include "proc/held_files.h"
#include "proc/maps.h"
#include "proc/residency.h"
#include "proc/smaps.h"

namespace memdrift::door {

namespace {

// Array::New of each column first, then one walk over the rows: columns are written side by side
// while the rows are in the cache.
Napi::Object mappingsToJs(Napi::Env env, const MappingTable& table) {
  const size_t rows = table.size();
  auto start = Napi::Float64Array::New(env, rows), end = Napi::Float64Array::New(env, rows);
  auto offset = Napi::Float64Array::New(env, rows);
  auto inode = Napi::BigUint64Array::New(env, rows);
  auto major = Napi::Uint32Array::New(env, rows), minor = Napi::Uint32Array::New(env, rows);
  auto permissions = Napi::Uint32Array::New(env, rows), name = Napi::Uint32Array::New(env, rows);
  auto flags = Napi::Uint32Array::New(env, rows);
  auto deleted = Napi::Uint8Array::New(env, rows);
  double* const to_start = start.Data();
  double* const to_end = end.Data();
  double* const to_offset = offset.Data();
  uint64_t* const to_inode = inode.Data();
  uint32_t* const to_numbers[] = {major.Data(), minor.Data(), permissions.Data(), name.Data(),
                                  flags.Data()};
  uint8_t* const to_deleted = deleted.Data();
  for (size_t i = 0; i < rows; i++) {
    const MappingRow& row = table[i];
    to_start[i] = static_cast<double>(row.start_address);
    to_end[i] = static_cast<double>(row.end_address);
    to_offset[i] = static_cast<double>(row.offset_bytes);
    to_inode[i] = row.inode;
    to_numbers[0][i] = row.device_major;
    to_numbers[1][i] = row.device_minor;
    to_numbers[2][i] = row.permissions;
    to_numbers[3][i] = row.name;
    to_numbers[4][i] = row.vm_flags;
    to_deleted[i] = row.deleted;
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("length", static_cast<double>(rows));
  object.Set("startAddress", start);
  object.Set("endAddress", end);
  object.Set("offsetBytes", offset);
  object.Set("inode", inode);
  object.Set("deviceMajor", major);
  object.Set("deviceMinor", minor);
  object.Set("permissions", permissions);
  object.Set("name", name);
  object.Set("vmFlags", flags);
  object.Set("deleted", deleted);
  object.Set("strings", toStringArray(env, table.strings.strings()));
  return object;
}

constexpr const char* kSmapsFieldNames[] = {
#define MEMDRIFT_NAME(kernel, name, js) #js,
    MEMDRIFT_SMAPS_FIELDS(MEMDRIFT_NAME)
#undef MEMDRIFT_NAME
};

// The columns that the text has, by name; all in one ArrayBuffer, because making one costs more
// than filling one for a process of usual size.
Napi::Object columnsToJs(Napi::Env env, const SmapsTable& table) {
  const size_t rows = table.size();
  std::vector<size_t> fields;
  for (size_t field = 0; field < kSmapsFieldCount; field++)
    if (table.reported[field]) fields.push_back(field);
  auto buffer = Napi::ArrayBuffer::New(env, fields.size() * rows * sizeof(double));
  auto* const values = static_cast<double*>(buffer.Data());
  for (size_t i = 0; i < rows; i++) {
    const SmapsRow& row = table.values[i];
    for (size_t k = 0; k < fields.size(); k++) values[k * rows + i] = row[fields[k]];
  }
  Napi::Object columns = Napi::Object::New(env);
  for (size_t k = 0; k < fields.size(); k++)
    columns.Set(kSmapsFieldNames[fields[k]],
                Napi::Float64Array::New(env, rows, buffer, k * rows * sizeof(double)));
  return columns;
}

Napi::Value smapsToJs(Napi::Env env, const SmapsTable& table) {
  Napi::Object object = mappingsToJs(env, table.mappings);
  object.Set("columns", columnsToJs(env, table));
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

Napi::Object deviceToJs(Napi::Env env, dev_t device) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("deviceMajor", major(device));
  object.Set("deviceMinor", minor(device));
  return object;
}

Napi::Value heldFilesToJs(Napi::Env env, const HeldFiles& held) {
  Napi::Array devices = Napi::Array::New(env), files = Napi::Array::New(env);
  for (uint32_t i = 0; i < held.devices.size(); i++) {
    Napi::Object device = deviceToJs(env, held.devices[i].device);
    device.Set("isHugetlb", held.devices[i].is_hugetlb);
    devices.Set(i, device);
  }
  for (uint32_t i = 0; i < held.files.size(); i++) {
    const HeldFile& file = held.files[i];
    Napi::Object object = deviceToJs(env, file.device);
    object.Set("inode", Napi::BigInt::New(env, file.inode));
    object.Set("descriptor", file.descriptor);
    object.Set("name", file.name);
    object.Set("sizeBytes", static_cast<double>(file.size_bytes));
    object.Set("allocatedBytes", static_cast<double>(file.allocated_bytes));
    files.Set(i, object);
  }
  Napi::Object object = Napi::Object::New(env);
  object.Set("devices", devices);
  object.Set("files", files);
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
  if (source == "heldFiles") return readAndConvert(request, readHeldFiles, heldFilesToJs);
  if (source == "residency") return readAndConvert(request, readResidency, residencyToJs);
  throw Error(ErrorCode::ERR_INVALID, "procRead has no source " + source);
}

// procSwapped(path): returns how many bytes of a memory file are in swap; NaN: unknown.
Napi::Value procSwapped(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), swappedBytesOf(stringArgument(info[0], "path")));
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
  exportFunction(env, exports, "procSwapped", procSwapped);
}

}  // namespace memdrift::door
