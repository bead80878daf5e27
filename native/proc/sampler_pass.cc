// SPDX-License-Identifier: MIT
// The sampler's looks at smaps, and what follows from them for the group.
#include <algorithm>

#include "proc/sampler.h"

namespace memdrift {

namespace {

// Each is a stat(2) at every tick.
constexpr size_t kMostSegments = 256;

}  // namespace

// A watch that is outside of the watched group is not a member, and neither is its helper.
bool Sampler::isMember(const SampledProcess& process) const {
  if (options_.own_passes || process.is_root)
    return options_.own_passes || process.pid() != own_pid_;
  return process.pid() != own_pid_ && process.counters().parent_pid != own_pid_;
}

GroupLook Sampler::groupLook(double at_ms) {
  GroupLook look;
  look.at_ms = at_ms;
  for (const auto& process : live_) {
    if (!isMember(*process)) continue;
    const Counters& c = process->counters();
    MemberLook member;
    member.id = process->id;
    member.pid = process->pid();
    member.parent_pid = c.parent_pid;
    // Kernels before 4.5 do not divide RSS.
    member.rss[kAnonPart] =
        knownOrZero(std::isnan(c.rss_anon_bytes) ? c.rss_bytes : c.rss_anon_bytes);
    member.rss[kFilePart] = knownOrZero(c.rss_file_bytes);
    member.rss[kShmemPart] = knownOrZero(c.rss_shmem_bytes);
    member.swap = knownOrZero(c.swap_bytes);
    member.fault_bytes = static_cast<double>(process->stat().faults) * page_bytes_;
    member.peak_rss = knownOrZero(c.peak_rss_bytes);
    look.members.push_back(member);
  }
  // Read after the members, so that the counters include all of the members' faults.
  look.system = system_.look();
  lookAtSegments();
  for (size_t i = 0; i < base_segments_; i++) {
    const double resident = segments_[i].residentBytes();
    look.segment_bytes += knownOrZero(resident);
    // An unlinked file lives on in its mappings.
    if (std::isnan(resident)) look.nameless_bytes += knownOrZero(segments_[i].peakBytes());
  }
  look.early_ends = early_ends_;
  if (tree_) look.unseen_pids = tree_->unseenPids();
  return look;
}

MemberRead Sampler::readOf(const SampledProcess& process) const {
  const Shares& shares = process.shares();
  MemberRead read;
  read.rss = shares.rss_bytes;
  read.anon = knownOrZero(shares.anon_bytes);
  read.uss = shares.uss_bytes;
  read.pss = {knownOrZero(shares.pss_anon_bytes), knownOrZero(shares.pss_file_bytes),
              knownOrZero(shares.pss_shmem_bytes)};
  read.closed_pss = shares.closed_pss_bytes;
  read.files = shares.files;
  for (const SampledSegment& segment : segments_)
    if (!std::isnan(segment.residentBytes())) read.segment_pss += shares.pssOf(segment);
  return read;
}

void Sampler::offerFootprint(const FootprintLook& look) {
  footprint_low_ = std::fmax(footprint_low_, look.low);
  footprint_high_ = std::fmax(footprint_high_, look.high);
  const double before = footprint_.bytes;
  footprint_.offer(look.bytes, look.at_ms);
  if (footprint_.bytes == before || std::isnan(footprint_.bytes)) return;
  footprint_.exactness = look.exactness;
  sum_rss_then_ = look.sum_rss_bytes;
}

// One process of a pass; false when it has ended. Ticks that fall due meanwhile are made between
// two processes, so a long pass delays a sample by the smaps of one process only.
bool Sampler::passOver(SampledProcess& process, PassResult& result) {
  switch (process.pass(nowMs(), segments_)) {
    case SampledProcess::PassOutcome::kEnded:
      return false;
    case SampledProcess::PassOutcome::kDenied:
      result.unknown_pids.push_back(process.pid());
      result.processes.push_back({process.pid(), Shares()});
      return true;
    case SampledProcess::PassOutcome::kRead:
      if (tree_) addSegmentsOf(process.shares());
      result.processes.push_back({process.pid(), process.shares()});
      return true;
  }
  return false;
}

// Whatever file of shared memory the tree maps is taken to be the tree's.
void Sampler::addSegmentsOf(const Shares& shares) {
  for (const Shares::Segment& found : shares.segments) {
    const bool known = std::any_of(segments_.begin(), segments_.end(), [&](const auto& segment) {
      return segment.is(found.major, found.minor, found.inode);
    });
    if (known || segments_.size() >= kMostSegments) continue;
    segments_.emplace_back(found.path);
    segments_.back().look();
  }
}

std::shared_ptr<const PassResult> Sampler::pass() {
  auto result = std::make_shared<PassResult>();
  const int64_t cpu_before_ns = threadCpuNs();
  const uint64_t lost_before = lost_;
  // Segments first: their identity is what mappings are compared with.
  lookAtSegments();
  // Bounds need a look at all members before the first read.
  if (std::any_of(live_.begin(), live_.end(), [](const auto& one) { return one->samples() == 0; }))
    tickAll(nowMs());
  group_.beginPass();
  std::vector<SampledProcess*> todo;
  for (const auto& process : live_)
    if (isMember(*process)) todo.push_back(process.get());
  for (SampledProcess* process : todo) {
    if (stopRequested()) return nullptr;
    passOver(*process, *result);
    if (ticks_.due(steadyNs())) tick();
  }
  for (SampledProcess* process : todo)
    if (!process->ended() && !process->denied()) group_.read(process->id, readOf(*process));
  base_segments_ = segments_.size();
  tickAll(nowMs());
  group_.endPass();
  result->at_ms = nowMs();
  result->lost_processes = lost_;
  if (lost_ != lost_before) result->footprint_exactness = Exactness::kEstimated;
  finishPass(*result);
  result->cpu_ms = static_cast<double>(threadCpuNs() - cpu_before_ns) / 1e6;
  passes_++;
  plan_.passed(widthOf(group_.bounds()));
  budget_.passed(steadyNs());
  return result;
}

void Sampler::finishPass(PassResult& result) {
  result.segments = segmentSizes();
  std::erase_if(result.processes, [this](const PassResult::Process& one) {
    return std::none_of(live_.begin(), live_.end(),
                        [&](const auto& process) { return process->pid() == one.pid; });
  });
  double footprint = 0;
  for (const auto& [pid, shares] : result.processes) {
    result.sum_rss_bytes += shares.rss_bytes;
    result.sum_pss_bytes += shares.pss_bytes;
    result.sum_uss_bytes += shares.uss_bytes;
    footprint += shares.pss_bytes;
    for (const SampledSegment& segment : segments_)
      if (!std::isnan(segment.residentBytes())) footprint -= shares.pssOf(segment);
  }
  for (const auto& segment : segments_) footprint += knownOrZero(segment.residentBytes());
  result.footprint_bytes = footprint;
  const GroupBounds bounds = group_.bounds();
  offerFootprint({result.at_ms, result.footprint_bytes, result.sum_rss_bytes, bounds.footprint.low,
                  bounds.footprint_between, result.footprint_exactness});
}

}  // namespace memdrift
