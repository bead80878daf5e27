// SPDX-License-Identifier: MIT
// The sampler's looks at smaps, and what follows from them for the group.
#include <algorithm>

#include "proc/sampler.h"

namespace memdrift {

namespace {

// Each is a stat(2) at every tick.
constexpr size_t kMostSegments = 256;

}  // namespace

double Sampler::unmappedSegmentBytes() const {
  double sum = 0;
  for (const SampledSegment& segment : segments_) {
    double unmapped = knownOrZero(segment.residentBytes());
    for (const auto& process : live_) unmapped -= process->segmentPssNowBytes(segment);
    sum += std::max(0.0, unmapped);
  }
  return sum;
}

double Sampler::footprintBytes() const {
  double sum = 0;
  for (const auto& process : live_) sum += process->ownBytes(segments_);
  for (const auto& segment : segments_) sum += knownOrZero(segment.residentBytes());
  return sum;
}

void Sampler::offerFootprint(const FootprintLook& look) {
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
  std::vector<SampledProcess*> todo;
  for (const auto& process : live_)
    if (isPassedOver(*process)) todo.push_back(process.get());
  for (SampledProcess* process : todo) {
    if (stopRequested()) return nullptr;
    passOver(*process, *result);
    if (ticks_.due(steadyNs())) tick();
  }
  tickAll(nowMs());
  lookAtSegments();
  result->at_ms = nowMs();
  result->lost_processes = lost_;
  if (lost_ != lost_before) result->footprint_exactness = Exactness::kEstimated;
  finishPass(*result);
  result->cpu_ms = static_cast<double>(threadCpuNs() - cpu_before_ns) / 1e6;
  passes_++;
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
  offerFootprint(
      {result.at_ms, result.footprint_bytes, result.sum_rss_bytes, result.footprint_exactness});
}

}  // namespace memdrift
