// SPDX-License-Identifier: MIT
// A Sampler per handle. Its thread hands events to a threadsafe function; everything else here runs
// on the environment's thread.
#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "door/doors.h"
#include "door/translate.h"
#include "proc/sampler.h"

namespace memdrift::door {

namespace {

// Samples that wait for a busy event loop: at 10 Hz some 25 s. What comes then is dropped and
// counted.
constexpr int kMostWaiting = 256;

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
               one.Set("pssErrorBytes", numberOrNull(env, process.pss_error_bytes));
               one.Set("copiedBytesMost", numberOrNull(env, process.copied_bytes_most));
               one.Set("faultBytes", numberOrNull(env, process.fault_bytes));
               one.Set("pssShmemBytes", numberOrNull(env, process.shmem.pss_bytes));
               one.Set("passedPssShmemBytes", numberOrNull(env, process.shmem.passed_pss_bytes));
               one.Set("passedRssShmemBytes", numberOrNull(env, process.shmem.passed_rss_bytes));
               return one;
             }));
  object.Set("segments", segmentsToJs(env, sample.segments));
  object.Set("sumRssBytes", sample.sum_rss_bytes);
  object.Set("footprintBytes", numberOrNull(env, sample.footprint_bytes));
  object.Set("footprintExactness", exactnessName(sample.footprint_exactness));
  object.Set("unmappedSegmentBytes", sample.unmapped_segment_bytes);
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

Napi::Object reportToJs(Napi::Env env, const SamplerReport& report, uint64_t dropped) {
  Napi::Object footprint = Napi::Object::New(env);
  footprint.Set("peakBytes", numberOrNull(env, report.footprint.bytes));
  footprint.Set("atMs", numberOrNull(env, report.footprint.at_ms));
  footprint.Set("exactness", exactnessName(report.footprint.exactness));
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

class Session : public std::enable_shared_from_this<Session> {
 public:
  static constexpr napi_type_tag kTag = {0x5a3d1c7e90b24f61, 0x8e1f4b7720c9d35a};

  Session(SamplerOptions options)
      : sampler_(std::move(options), [this](SamplerEvent event) { send(std::move(event)); }) {}

  Sampler& sampler() {
    if (stop_) throw Error(ErrorCode::ERR_CLOSED, "the sampler was stopped");
    return sampler_;
  }

  void start(Napi::Env env, const Napi::Function& on_sample);
  Napi::Value pass(Napi::Env env);
  Napi::Value stop(Napi::Env env);

 private:
  static void receiveFromQueue(const Napi::Function& on_sample, Session& session,
                               const SamplerEvent& event);
  static void endOfEnvironment(void* data);
  void send(SamplerEvent event);
  void receive(const Napi::Function& on_sample, const SamplerEvent& event);
  void settle(Napi::Env env, const PassDone& done);
  void keepAlive(Napi::Env env);

  napi_threadsafe_function queue_ = nullptr;
  std::atomic<int> waiting_{0};
  std::atomic<uint64_t> dropped_{0};
  std::map<uint64_t, Napi::Promise::Deferred> passes_;
  std::optional<Napi::Promise::Deferred> stop_;
  Sampler sampler_;  // last: its thread uses what stands above
};

// The loop is kept alive only while somebody waits for an answer.
void Session::keepAlive(Napi::Env env) {
  if (stop_ || !passes_.empty())
    napi_ref_threadsafe_function(env, queue_);
  else
    napi_unref_threadsafe_function(env, queue_);
}

void Session::start(Napi::Env env, const Napi::Function& on_sample) {
  // The queue owns a share of this session: it must outlive the last event in it.
  auto* share = new std::shared_ptr<Session>(shared_from_this());
  const napi_status status = napi_create_threadsafe_function(
      env, on_sample, nullptr, Napi::String::New(env, "memdrift:Sampler"), 0, 1, share,
      [](napi_env, void* data, void*) { delete static_cast<std::shared_ptr<Session>*>(data); },
      share,
      [](napi_env env_now, napi_value callback, void* context, void* data) {
        const std::unique_ptr<SamplerEvent> event(static_cast<SamplerEvent*>(data));
        if (env_now == nullptr) return;  // the environment takes no more calls
        const auto session = *static_cast<std::shared_ptr<Session>*>(context);
        receiveFromQueue(Napi::Function(env_now, callback), *session, *event);
      },
      &queue_);
  if (status != napi_ok) {
    delete share;
    throw Error(ErrorCode::ERR_SYSTEM, "Node made no queue for the sampler's thread");
  }
  napi_unref_threadsafe_function(env, queue_);
  // After the queue, so that it runs before the queue's own: the thread is gone by then.
  napi_add_env_cleanup_hook(env, endOfEnvironment, this);
  sampler_.start();
}

void Session::endOfEnvironment(void* data) {
  auto* session = static_cast<Session*>(data);
  session->sampler_.requestStop();
  session->sampler_.join();
}

// On the sampler's thread.
void Session::send(SamplerEvent event) {
  const bool last = std::holds_alternative<SamplerReport>(event);
  if (std::holds_alternative<Sample>(event)) {
    if (waiting_.load() >= kMostWaiting) {
      dropped_++;
      return;
    }
    waiting_++;
  }
  auto* data = new SamplerEvent(std::move(event));
  if (napi_call_threadsafe_function(queue_, data, napi_tsfn_nonblocking) != napi_ok) delete data;
  if (last) napi_release_threadsafe_function(queue_, napi_tsfn_release);
}

void Session::receiveFromQueue(const Napi::Function& on_sample, Session& session,
                               const SamplerEvent& event) {
  try {
    session.receive(on_sample, event);
  } catch (const Napi::Error& error) {
    // An environment that is ending may still call here but runs no JavaScript: nothing can be
    // thrown then, and a C++ exception would end the process.
    if (!error.IsEmpty()) napi_throw(on_sample.Env(), error.Value());
  }
}

void Session::receive(const Napi::Function& on_sample, const SamplerEvent& event) {
  const Napi::Env env = on_sample.Env();
  if (const auto* sample = std::get_if<Sample>(&event)) {
    waiting_--;
    on_sample.Call({sampleToJs(env, *sample)});
  } else if (const auto* done = std::get_if<PassDone>(&event)) {
    settle(env, *done);
  } else if (const auto* report = std::get_if<SamplerReport>(&event)) {
    sampler_.join();
    napi_remove_env_cleanup_hook(env, endOfEnvironment, this);
    settle(env, PassDone());
    if (stop_) stop_->Resolve(reportToJs(env, *report, dropped_.load()));
  }
}

// Answers those who asked for this pass; once the sampler was stopped, all who still wait.
void Session::settle(Napi::Env env, const PassDone& done) {
  std::vector<uint64_t> tickets = done.tickets;
  if (!done.result)
    for (const auto& [ticket, deferred] : passes_) tickets.push_back(ticket);
  for (const uint64_t ticket : tickets) {
    const auto found = passes_.find(ticket);
    if (found == passes_.end()) continue;
    if (done.result)
      found->second.Resolve(passToJs(env, *done.result));
    else
      found->second.Reject(
          toJsError(env, Error(ErrorCode::ERR_CLOSED, "the sampler was stopped before the pass"))
              .Value());
    passes_.erase(found);
  }
  if (!stop_) keepAlive(env);
}

Napi::Value Session::pass(Napi::Env env) {
  const uint64_t ticket = sampler().requestPass();
  const auto deferred = Napi::Promise::Deferred::New(env);
  passes_.emplace(ticket, deferred);
  keepAlive(env);
  return deferred.Promise();
}

Napi::Value Session::stop(Napi::Env env) {
  Sampler& running = sampler();
  stop_ = Napi::Promise::Deferred::New(env);
  keepAlive(env);
  running.requestStop();
  return stop_->Promise();
}

struct Handle {
  std::shared_ptr<Session> session;
};

Session& sessionOf(const Napi::CallbackInfo& info) {
  return *fromHandle<Handle>(info[0], Session::kTag, "sampler").session;
}

// samplerStart({pids, intervalMs, budgetPercent, segments, tree, mark, startCreditMs,
// ownPasses}, onSample): a
// handle.
Napi::Value samplerStart(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  if (!info[0].IsObject() || !info[1].IsFunction())
    throw Error(ErrorCode::ERR_INVALID, "expected (options, onSample)");
  const auto given = info[0].As<Napi::Object>();
  SamplerOptions options;
  options.interval_ms = given.Get("intervalMs").ToNumber().DoubleValue();
  options.budget_percent = given.Get("budgetPercent").ToNumber().DoubleValue();
  options.tree = given.Get("tree").ToBoolean().Value();
  options.mark = stringArgument(given.Get("mark"), "mark");
  options.own_passes = given.Get("ownPasses").ToBoolean().Value();
  options.start_credit_ms = given.Get("startCreditMs").ToNumber().DoubleValue();
  const auto segments = given.Get("segments").As<Napi::Array>();
  for (uint32_t i = 0; i < segments.Length(); i++)
    options.segments.push_back(stringArgument(segments.Get(i), "segment"));
  auto session = std::make_shared<Session>(std::move(options));
  const auto pids = given.Get("pids").As<Napi::Array>();
  for (uint32_t i = 0; i < pids.Length(); i++)
    session->sampler().add(static_cast<pid_t>(integerArgument(pids.Get(i), "pid")));
  session->start(env, info[1].As<Napi::Function>());
  return toHandle(env, std::make_unique<Handle>(Handle{std::move(session)}), Session::kTag);
}

Napi::Value samplerAdd(const Napi::CallbackInfo& info) {
  sessionOf(info).sampler().add(static_cast<pid_t>(integerArgument(info[1], "pid")));
  return info.Env().Undefined();
}

Napi::Value samplerRemove(const Napi::CallbackInfo& info) {
  sessionOf(info).sampler().remove(static_cast<pid_t>(integerArgument(info[1], "pid")));
  return info.Env().Undefined();
}

Napi::Value samplerPass(const Napi::CallbackInfo& info) { return sessionOf(info).pass(info.Env()); }

Napi::Value samplerStop(const Napi::CallbackInfo& info) { return sessionOf(info).stop(info.Env()); }

}  // namespace

void exportSampler(Napi::Env env, Napi::Object exports) {
  exportFunction(env, exports, "samplerAdd", samplerAdd);
  exportFunction(env, exports, "samplerPass", samplerPass);
  exportFunction(env, exports, "samplerRemove", samplerRemove);
  exportFunction(env, exports, "samplerStart", samplerStart);
  exportFunction(env, exports, "samplerStop", samplerStop);
}

}  // namespace memdrift::door
