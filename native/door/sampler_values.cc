// SPDX-License-Identifier: MIT
#include "door/sampler_values.h"

#include <cmath>

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

}  // namespace

Napi::Object sampleToJs(Napi::Env env, const Sample& sample) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("atMs", sample.at_ms);
  object.Set("processes", arrayOf(env, sample.processes, [env](const Sample::Process& process) {
               Napi::Object one = Napi::Object::New(env);
               one.Set("pid", process.pid);
               one.Set("parentPid", process.parent_pid);
               one.Set("name", process.name);
               one.Set("startTimeTicks", process.start_time_ticks);
               one.Set("rssBytes", numberOrNull(env, process.rss_bytes));
               one.Set("rssAnonBytes", numberOrNull(env, process.rss_anon_bytes));
               one.Set("rssFileBytes", numberOrNull(env, process.rss_file_bytes));
               one.Set("rssShmemBytes", numberOrNull(env, process.rss_shmem_bytes));
               one.Set("swapBytes", numberOrNull(env, process.swap_bytes));
               one.Set("sharedBytes", numberOrNull(env, process.shared_bytes));
               one.Set("peakRssBytes", numberOrNull(env, process.peak_rss_bytes));
               one.Set("statRssBytes", numberOrNull(env, process.stat_rss_bytes));
               one.Set("cpuMs", numberOrNull(env, process.cpu_ms));
               one.Set("pssBytes", numberOrNull(env, process.pss_bytes));
               one.Set("ussBytes", numberOrNull(env, process.uss_bytes));
               one.Set("passedAtMs", numberOrNull(env, process.passed_at_ms));
               one.Set("denied", process.denied);
               one.Set("faultBytes", numberOrNull(env, process.fault_bytes));
               one.Set("pssRangeBytes", rangeToJs(env, process.pss));
               return one;
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
