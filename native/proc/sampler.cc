// SPDX-License-Identifier: MIT
#include "proc/sampler.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "errors.h"
#include "quiet_thread.h"

namespace memdrift {

namespace {

// Of those that ended so many at least are remembered, the largest; twice as many at most.
constexpr size_t kRemembered = 10'000;
// Fraction of a limit within which a bound is not decisive.
constexpr double kCloseness = 0.02;

SamplerReport::Process reportOf(const SampledProcess& p) {
  const Counters& c = p.counters();
  return {p.pid(),     c.parent_pid, c.name,        static_cast<double>(p.stat().start_time_ticks),
          p.samples(), p.passes(),   p.beganAtMs(), p.endedAtMs(),
          p.denied(),  p.rss,        p.rss_anon,    p.shared,
          p.pss,       p.uss};
}

}  // namespace

Sampler::Sampler(SamplerOptions options, std::function<void(SamplerEvent)> deliver)
    : options_(std::move(options)),
      deliver_(std::move(deliver)),
      group_({system_.anonPagesPerFault(), system_.filePagesPerFault(), system_.pagesOfHugePage(),
              counterNoiseBytes(), options_.is_closed}) {
  for (const std::string& path : options_.segments) segments_.emplace_back(path);
  if (options_.tree) tree_ = std::make_unique<TreeScan>(options_.mark);
}

Sampler::~Sampler() {
  requestStop();
  join();
}

void Sampler::add(pid_t pid) {
  auto process = std::make_unique<SampledProcess>(pid, detail());
  process->is_root = true;
  const std::lock_guard lock(mutex_);
  inbox_.added.push_back(std::move(process));
}

void Sampler::remove(pid_t pid) {
  const std::lock_guard lock(mutex_);
  std::erase_if(inbox_.added, [pid](const auto& process) { return process->pid() == pid; });
  inbox_.removed.push_back(pid);
}

void Sampler::start() {
  start_ns_ = steadyNs();
  ticks_ = TickClock(start_ns_, static_cast<int64_t>(options_.interval_ms * 1e6));
  budget_ = PassClock(start_ns_, options_.budget_percent,
                      static_cast<int64_t>(options_.start_credit_ms * 1e6));
  thread_ = startQuietThread([this] { run(); });
}

uint64_t Sampler::requestPass() {
  const std::lock_guard lock(mutex_);
  inbox_.tickets.push_back(next_ticket_);
  wake_.notify_one();
  return next_ticket_++;
}

void Sampler::requestStop() {
  const std::lock_guard lock(mutex_);
  inbox_.stop = true;
  wake_.notify_one();
}

void Sampler::join() {
  if (thread_.joinable()) thread_.join();
}

bool Sampler::stopRequested() {
  const std::lock_guard lock(mutex_);
  return inbox_.stop;
}

double Sampler::nowMs() const { return static_cast<double>(steadyNs() - start_ns_) / 1e6; }

Sampler::Inbox Sampler::waitForWork() {
  const std::chrono::steady_clock::time_point until{std::chrono::nanoseconds(ticks_.nextNs())};
  std::unique_lock lock(mutex_);
  wake_.wait_until(lock, until, [this] { return inbox_.stop || !inbox_.tickets.empty(); });
  Inbox taken = std::move(inbox_);
  inbox_ = {};
  inbox_.stop = taken.stop;
  return taken;
}

void Sampler::take(Inbox& inbox) {
  ended_.clear();
  for (const pid_t pid : inbox.removed) {
    const auto at = std::find_if(live_.begin(), live_.end(),
                                 [pid](const auto& process) { return process->pid() == pid; });
    if (at == live_.end()) continue;
    bury(**at);
    live_.erase(at);
  }
  for (auto& process : inbox.added) {
    const bool known = std::any_of(live_.begin(), live_.end(), [&](const auto& other) {
      return other->pid() == process->pid() && other->tick(nowMs());
    });
    if (known) continue;
    if (tree_) tree_->addRoot(process->pid());
    process->id = next_id_++;
    live_.push_back(std::move(process));
  }
}

// Ended, or followed no more: what remains is what the report needs.
void Sampler::bury(const SampledProcess& process) {
  past_.push_back(reportOf(process));
  if (past_.size() < 2 * kRemembered) return;
  const auto larger = [](const auto& a, const auto& b) {
    return knownOrZero(a.rss.bytes) > knownOrZero(b.rss.bytes);
  };
  std::nth_element(past_.begin(), past_.begin() + kRemembered, past_.end(), larger);
  forgotten_ += past_.size() - kRemembered;
  past_.resize(kRemembered);
}

void Sampler::run() {
  while (true) {
    Inbox inbox = waitForWork();
    take(inbox);
    if (inbox.stop) return finish(std::move(inbox.tickets));
    if (ticks_.due(steadyNs())) tick();
    const bool wanted = !inbox.tickets.empty();
    if (!wanted && !budget_.due(steadyNs(), threadCpuNs(), creditForPassNs())) continue;
    auto result = pass();
    if (wanted) deliver_(PassDone{std::move(inbox.tickets), std::move(result)});
  }
}

void Sampler::finish(std::vector<uint64_t> tickets) {
  if (!tickets.empty()) deliver_(PassDone{std::move(tickets), nullptr});
  // A last look: what the kernel's own peaks saw since the last tick.
  tickAll(nowMs());
  deliver_(report());
}

void Sampler::lookAtSegments() {
  for (auto& segment : segments_) segment.look();
}

std::vector<SegmentSize> Sampler::segmentSizes() const {
  std::vector<SegmentSize> sizes;
  for (const auto& segment : segments_) sizes.push_back({segment.path(), segment.residentBytes()});
  return sizes;
}

// Reads every process's counters; processes that ended move to the past and are counted as lost.
bool Sampler::tickAll(double at_ms) {
  const size_t before = live_.size();
  for (auto& process : live_) {
    if (process->tick(at_ms)) continue;
    if (tree_) unwaited_[process->counters().parent_pid]++;
    bury(*process);
    ended_.push_back(std::move(process));
  }
  std::erase(live_, nullptr);
  lost_ += before - live_.size();
  if (tree_) discover(at_ms);
  group_.look(groupLook(at_ms));
  return before == live_.size();
}

void Sampler::discover(double at_ms) {
  countEarlyEnds();
  std::vector<pid_t> members;
  for (const auto& process : live_) members.push_back(process->pid());
  for (const StatLine& line : tree_->find(members)) follow(line, at_ms);
}

void Sampler::follow(const StatLine& line, double at_ms) {
  try {
    auto process = std::make_unique<SampledProcess>(line.pid, detail());
    const bool same = process->stat().start_time_ticks == line.start_time_ticks;
    if (same && process->tick(at_ms)) {
      // Its whole life was in the tree, so any child that it has waited for was too.
      if (process->stat().ended_children_work > 0 && at_ms > 0) early_ends_++;
      process->id = next_id_++;
      return live_.push_back(std::move(process));
    }
  } catch (const Error& error) {
    if (error.code() != ErrorCode::ERR_GONE) {
      unfollowed_++;
      return;
    }
  }
  early_ends_++;
  unwaited_[line.parent_pid]++;
}

// A parent that has waited for a child has waited for one that was known to have ended, or for one
// that nobody saw.
void Sampler::countEarlyEnds() {
  for (const auto& process : live_) {
    if (!process->takeHasWaited()) continue;
    const auto known = unwaited_.find(process->pid());
    if (known == unwaited_.end()) {
      early_ends_++;
    } else if (--known->second == 0) {
      unwaited_.erase(known);
    }
  }
}

EarlyEnds Sampler::earlyEnds() const {
  EarlyEnds ends{early_ends_, NAN};
  if (!tree_) return ends;
  if (const auto unseen = tree_->unseenPids())
    ends.at_most = static_cast<double>(early_ends_ + *unseen);
  return ends;
}

Sample::Process Sampler::rowOf(const SampledProcess& process) const {
  const Counters& c = process.counters();
  const StatLine& stat = process.stat();
  return {process.pid(),
          c.parent_pid,
          c.name,
          static_cast<double>(stat.start_time_ticks),
          c.rss_bytes,
          c.rss_anon_bytes,
          c.rss_file_bytes,
          c.rss_shmem_bytes,
          c.swap_bytes,
          c.shared_bytes,
          c.peak_rss_bytes,
          static_cast<double>(stat.rss_pages) * page_bytes_,
          static_cast<double>(stat.user_ticks + stat.system_ticks) * ms_per_tick_,
          process.pssNowBytes(),
          process.shares().uss_bytes,
          process.passedAtMs(),
          process.denied(),
          static_cast<double>(stat.faults) * page_bytes_,
          group_.boundsOf(process.id)};
}

void Sampler::tick() {
  const int64_t now_ns = steadyNs();
  ticks_.ticked(now_ns);
  Sample sample;
  sample.at_ms = static_cast<double>(now_ns - start_ns_) / 1e6;
  tickAll(sample.at_ms);
  samples_++;
  for (const auto& process : live_) {
    sample.processes.push_back(rowOf(*process));
    sample.sum_rss_bytes += knownOrZero(process->counters().rss_bytes);
  }
  sample.segments = segmentSizes();
  sample.group = group_.bounds();
  sample.footprint_bytes = sample.group.footprint.value;
  sample.huge_bytes = group_.lastLook().system.huge_bytes;
  sample.pages_per_fault = system_.filePagesPerFault();
  sample.lost_processes = lost_;
  sample.early_ends = earlyEnds();
  offerFootprint({sample.at_ms, sample.footprint_bytes, sample.sum_rss_bytes,
                  sample.group.footprint.low, sample.group.footprint_between,
                  sample.footprint_exactness});
  deliver_(std::move(sample));
}

double Sampler::widthOf(const GroupBounds& bounds) {
  return bounds.footprint.high - bounds.footprint.low;
}

// Without a tree passes are made as often as the budget allows.
int64_t Sampler::creditForPassNs() {
  if (!tree_) return predictedPassNs();
  PassPlan::Need need;
  for (const auto& process : live_) {
    if (!isMember(*process)) continue;
    need.sum_rss_bytes += knownOrZero(process->counters().rss_bytes);
    need.fault_bytes += static_cast<double>(process->stat().faults) * page_bytes_;
  }
  const GroupBounds bounds = group_.bounds();
  const auto isOpen = [this](const Bounds& one) {
    return one.low < (1 + kCloseness) * options_.limit_bytes &&
           one.high > (1 - kCloseness) * options_.limit_bytes;
  };
  need.width_bytes = widthOf(bounds);
  need.hangs_on_it = isOpen(bounds.footprint) || isOpen(bounds.pss);
  const auto [times, may_borrow] = plan_.price(need);
  return static_cast<int64_t>(times * static_cast<double>(predictedPassNs())) -
         (may_borrow ? budget_.loanNs() : 0);
}

int64_t Sampler::predictedPassNs() const {
  int64_t sum = 0;
  for (const auto& process : live_)
    if (isMember(*process)) sum += process->predictedPassNs();
  return sum;
}

SamplerReport Sampler::report() const {
  SamplerReport report;
  for (const auto& process : live_) report.processes.push_back(reportOf(*process));
  report.processes.insert(report.processes.end(), past_.begin(), past_.end());
  report.forgotten_processes = forgotten_;
  report.unfollowed_processes = unfollowed_;
  report.early_ends = earlyEnds();
  for (const auto& segment : segments_)
    report.segments.push_back({segment.path(), segment.peakBytes()});
  report.footprint = footprint_;
  report.footprint_low = footprint_low_;
  report.footprint_high = footprint_high_;
  report.sum_rss_bytes_then = sum_rss_then_;
  report.cpu_ms = static_cast<double>(threadCpuNs()) / 1e6;
  report.wall_ms = nowMs();
  report.samples = samples_;
  report.samples_missed = ticks_.missed();
  report.passes = passes_;
  report.passes_skipped = budget_.skipped();
  report.lost_processes = lost_;
  return report;
}

}  // namespace memdrift
