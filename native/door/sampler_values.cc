// SPDX-License-Identifier: MIT
#include "door/sampler_values.h"

#include <algorithm>
#include <cmath>
#include <iterator>

namespace memdrift::door {

namespace {

Napi::Value numberOrNull(Napi::Env env, double value) {
  return std::isnan(value) ? env.Null() : Napi::Number::New(env, value).As<Napi::Value>();
}

Napi::Value countOf(Napi::Env env, uint64_t value) {
  return Napi::Number::New(env, static_cast<double>(value));
}

template <typename Item, typename Convert>
Napi::Array arrayOf(Napi::Env env, const std::vector<Item>& items, Convert convert) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t i = 0; i < items.size(); i++) array.Set(i, convert(items[i]));
  return array;
}

Napi::Array segmentsToJs(Napi::Env env, const std::vector<SegmentSize>& segments) {
  return arrayOf(env, segments, [env](const SegmentSize& segment) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("path", segment.path);
    object.Set("residentBytes", numberOrNull(env, segment.resident_bytes));
    return object;
  });
}

Napi::Object earlyEndsToJs(Napi::Env env, const EarlyEnds& ends) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("atLeast", countOf(env, ends.at_least));
  object.Set("atMost", numberOrNull(env, ends.at_most));
  return object;
}

Napi::Array rangeToJs(Napi::Env env, const Bounds& bounds) {
  Napi::Array range = Napi::Array::New(env, 2);
  range.Set(0u, bounds.low);
  range.Set(1u, bounds.high);
  return range;
}

Napi::Object boundsToJs(Napi::Env env, const Bounds& bounds, double most_between) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("valueBytes", bounds.value);
  object.Set("rangeBytes", rangeToJs(env, bounds));
  object.Set("mostBetweenBytes", most_between);
  return object;
}

Napi::Object groupToJs(Napi::Env env, const GroupBounds& group) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("pss", boundsToJs(env, group.pss, group.pss_between));
  object.Set("uss", boundsToJs(env, group.uss, group.pss_between));
  object.Set("footprint", boundsToJs(env, group.footprint, group.footprint_between));
  object.Set("readAtMs", numberOrNull(env, group.read_at_ms));
  return object;
}

Napi::Value peakToJs(Napi::Env env, const Peak& peak) {
  if (std::isnan(peak.bytes)) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("bytes", peak.bytes);
  object.Set("atMs", numberOrNull(env, peak.at_ms));
  object.Set("exactness", exactnessName(peak.exactness));
  object.Set("samples", countOf(env, peak.samples));
  return object;
}

Napi::Object processReportToJs(Napi::Env env, const SamplerReport::Process& process) {
  Napi::Object peak = Napi::Object::New(env);
  peak.Set("rssBytes", peakToJs(env, process.rss));
  peak.Set("ussBytes", peakToJs(env, process.uss));
  peak.Set("pssBytes", peakToJs(env, process.pss));
  peak.Set("sharedBytes", peakToJs(env, process.shared));
  peak.Set("rssAnonBytes", peakToJs(env, process.rss_anon));
  Napi::Object object = Napi::Object::New(env);
  object.Set("pid", process.pid);
  object.Set("parentPid", process.parent_pid);
  object.Set("name", process.name);
  object.Set("startTimeTicks", process.start_time_ticks);
  object.Set("beganAtMs", numberOrNull(env, process.began_at_ms));
  object.Set("samples", countOf(env, process.samples));
  object.Set("passes", countOf(env, process.passes));
  object.Set("endedAtMs", numberOrNull(env, process.ended_at_ms));
  object.Set("denied", process.denied);
  object.Set("peak", peak);
  return object;
}

// The numbers of a process, in the order of `rowFields` in src/proc/sample_rows.ts: an object for
// each process would take three times as long.
Napi::Float64Array rowsOf(Napi::Env env, const std::vector<Sample::Process>& processes) {
  constexpr size_t kFields = 19;
  Napi::Float64Array rows = Napi::Float64Array::New(env, kFields * processes.size());
  double* at = rows.Data();
  for (const Sample::Process& p : processes) {
    const double fields[kFields] = {static_cast<double>(p.pid),
                                    static_cast<double>(p.parent_pid),
                                    p.start_time_ticks,
                                    p.rss_bytes,
                                    p.rss_anon_bytes,
                                    p.rss_file_bytes,
                                    p.rss_shmem_bytes,
                                    p.swap_bytes,
                                    p.shared_bytes,
                                    p.peak_rss_bytes,
                                    p.stat_rss_bytes,
                                    p.cpu_ms,
                                    p.pss_bytes,
                                    p.uss_bytes,
                                    p.passed_at_ms,
                                    p.fault_bytes,
                                    p.pss.low,
                                    p.pss.high,
                                    p.denied ? 1.0 : 0.0};
    at = std::copy(std::begin(fields), std::end(fields), at);
  }
  return rows;
}

}  // namespace

Napi::Object sampleToJs(Napi::Env env, const Sample& sample) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("atMs", sample.at_ms);
  object.Set("rows", rowsOf(env, sample.processes));
  object.Set("names", arrayOf(env, sample.processes, [env](const Sample::Process& process) {
               return Napi::String::New(env, process.name);
             }));
  object.Set("segments", segmentsToJs(env, sample.segments));
  object.Set("sumRssBytes", sample.sum_rss_bytes);
  object.Set("footprintBytes", numberOrNull(env, sample.footprint_bytes));
  object.Set("footprintExactness", exactnessName(sample.footprint_exactness));
  object.Set("group", groupToJs(env, sample.group));
  object.Set("lostProcesses", countOf(env, sample.lost_processes));
  object.Set("endedEarly", earlyEndsToJs(env, sample.early_ends));
  object.Set("hugeBytes", numberOrNull(env, sample.huge_bytes));
  object.Set("pagesPerFault", numberOrNull(env, sample.pages_per_fault));
  return object;
}

Napi::Object passToJs(Napi::Env env, const PassResult& pass) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("atMs", pass.at_ms);
  object.Set("processes", arrayOf(env, pass.processes, [env](const PassResult::Process& process) {
               Napi::Object one = Napi::Object::New(env);
               one.Set("pid", process.pid);
               one.Set("rssBytes", numberOrNull(env, process.shares.rss_bytes));
               one.Set("pssBytes", numberOrNull(env, process.shares.pss_bytes));
               one.Set("ussBytes", numberOrNull(env, process.shares.uss_bytes));
               one.Set("swapBytes", numberOrNull(env, process.shares.swap_bytes));
               return one;
             }));
  object.Set("segments", segmentsToJs(env, pass.segments));
  object.Set("unknownPids", arrayOf(env, pass.unknown_pids,
                                    [env](pid_t pid) { return Napi::Number::New(env, pid); }));
  object.Set("sumRssBytes", numberOrNull(env, pass.sum_rss_bytes));
  object.Set("sumPssBytes", numberOrNull(env, pass.sum_pss_bytes));
  object.Set("sumUssBytes", numberOrNull(env, pass.sum_uss_bytes));
  object.Set("footprintBytes", numberOrNull(env, pass.footprint_bytes));
  object.Set("footprintExactness", exactnessName(pass.footprint_exactness));
  object.Set("lostProcesses", countOf(env, pass.lost_processes));
  object.Set("cpuMs", pass.cpu_ms);
  return object;
}

Napi::Object reportToJs(Napi::Env env, const SamplerReport& report, uint64_t dropped) {
  Napi::Object footprint = Napi::Object::New(env);
  footprint.Set("peakBytes", numberOrNull(env, report.footprint.bytes));
  footprint.Set("atMs", numberOrNull(env, report.footprint.at_ms));
  footprint.Set("exactness", exactnessName(report.footprint.exactness));
  footprint.Set(
      "rangeBytes",
      std::isnan(report.footprint_low)
          ? env.Null()
          : rangeToJs(env, {report.footprint_low, 0, report.footprint_high}).As<Napi::Value>());
  footprint.Set("sumRssBytesThen", numberOrNull(env, report.sum_rss_bytes_then));
  Napi::Object observer = Napi::Object::New(env);
  observer.Set("cpuMs", report.cpu_ms);
  observer.Set("wallMs", report.wall_ms);
  observer.Set("percentOfCore", 100 * report.cpu_ms / report.wall_ms);
  observer.Set("samples", countOf(env, report.samples));
  observer.Set("samplesMissed", countOf(env, report.samples_missed));
  observer.Set("samplesDropped", countOf(env, dropped));
  observer.Set("passes", countOf(env, report.passes));
  observer.Set("passesSkipped", countOf(env, report.passes_skipped));
  Napi::Object object = Napi::Object::New(env);
  object.Set("processes", arrayOf(env, report.processes, [env](const auto& process) {
               return processReportToJs(env, process);
             }));
  object.Set("segments", arrayOf(env, report.segments, [env](const auto& segment) {
               Napi::Object one = Napi::Object::New(env);
               one.Set("path", segment.path);
               one.Set("residentBytesPeak", numberOrNull(env, segment.peak_bytes));
               return one;
             }));
  object.Set("forgottenProcesses", countOf(env, report.forgotten_processes));
  object.Set("unfollowedProcesses", countOf(env, report.unfollowed_processes));
  object.Set("endedEarly", earlyEndsToJs(env, report.early_ends));
  object.Set("footprint", footprint);
  object.Set("lostProcesses", countOf(env, report.lost_processes));
  object.Set("observer", observer);
  return object;
}

}  // namespace memdrift::door
