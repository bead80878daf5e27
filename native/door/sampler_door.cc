// SPDX-License-Identifier: MIT
// A Sampler per handle. Its thread hands events to a threadsafe function; everything else here runs
// on the environment's thread.
#include <atomic>
#include <map>
#include <memory>
#include <optional>

#include "door/doors.h"
#include "door/sampler_values.h"
#include "door/translate.h"
#include "proc/sampler.h"

namespace memdrift::door {

namespace {

// Samples that wait for a busy event loop: at 10 Hz some 25 s. What comes then is dropped and
// counted.
constexpr int kMostWaiting = 256;

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
// ownPasses, isClosed, limitBytes}, onSample): a handle.
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
  options.is_closed = given.Get("isClosed").ToBoolean().Value();
  if (given.Get("limitBytes").IsNumber())
    options.limit_bytes = given.Get("limitBytes").ToNumber().DoubleValue();
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
