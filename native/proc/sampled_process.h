// SPDX-License-Identifier: MIT
// One process as a sampler sees it over time: its counters at each tick, its shares at each pass,
// and the peaks of both.
#pragma once

#include <sys/types.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proc/counters.h"
#include "proc/group_estimate.h"
#include "proc/maps.h"
#include "proc/read_file.h"

namespace memdrift {

enum class Exactness { kExact, kKernel, kSampled, kEstimated };
const char* exactnessName(Exactness exactness) noexcept;

// A high-water mark. `bytes` is NaN while nothing was known, `at_ms` where the kernel kept the peak
// but not its time.
struct Peak {
  double bytes = NAN;
  double at_ms = NAN;
  Exactness exactness = Exactness::kSampled;
  uint64_t samples = 0;  // how many values it was chosen from

  void offer(double value, double when_ms);
};

// A file of shared memory whose resident pages are counted once, whoever maps them.
class SampledSegment {
 public:
  explicit SampledSegment(std::string path) : path_(std::move(path)) {}

  // One stat(2). A file that is not there (not yet, or no more) makes residentBytes() NaN; its
  // identity stays that of the last one seen, since its mappings live on.
  void look() noexcept;
  bool is(uint32_t major, uint32_t minor, uint64_t inode) const noexcept;

  const std::string& path() const { return path_; }
  double residentBytes() const { return resident_bytes_; }
  double peakBytes() const { return peak_bytes_; }

 private:
  std::string path_;
  bool seen_ = false;
  uint32_t major_ = 0, minor_ = 0;
  uint64_t inode_ = 0;
  double resident_bytes_ = NAN;
  double peak_bytes_ = NAN;
};

// What one read of smaps (or smaps_rollup) says of a process; bytes.
struct Shares {
  double rss_bytes = NAN, pss_bytes = NAN, uss_bytes = NAN, swap_bytes = NAN;
  double anon_bytes = NAN;  // resident
  // The parts of Pss.
  double pss_anon_bytes = NAN, pss_file_bytes = NAN, pss_shmem_bytes = NAN;
  double closed_pss_bytes = 0;  // of shared anonymous mappings, which only a fork passes on
  // Pss of the own pages of each file of shared memory that smaps was read for. Copies that a
  // private mapping made are not the file's.
  struct Segment {
    uint32_t major, minor;
    uint64_t inode;
    std::string path;
    double pss_bytes;
  };
  std::vector<Segment> segments;
  // Mapped parts of files; missing where the pass did not read them.
  std::optional<std::vector<FileExtent>> files;

  double pssOf(const SampledSegment& segment) const noexcept;
};

class SampledProcess {
 public:
  // kWithFiles: a pass reads smaps instead of its rollup where there is shared memory, to know the
  // files.
  enum class Detail { kSums, kWithFiles };

  // Throws ERR_GONE, ERR_DENIED (/proc hides it). From here on the process is meant, not its pid:
  // the open file answers ESRCH once it ended, whoever gets the number next.
  explicit SampledProcess(pid_t pid, Detail detail = Detail::kSums);

  // Reads the counters; false when the process has ended, and from then on.
  bool tick(double at_ms);
  enum class PassOutcome { kRead, kDenied, kEnded };
  // Reads smaps, or the rollup where there are no segments to tell apart.
  PassOutcome pass(double at_ms, const std::vector<SampledSegment>& segments);

  // CPU time that a pass over this process is expected to cost.
  int64_t predictedPassNs() const;
  // Pss now: that of the last pass, its parts moved as RssAnon, RssFile and RssShmem have moved
  // since. NaN before the first pass and while the process is denied.
  double pssNowBytes() const;
  // How far the counters have moved since the last pass: all of RSS before the first.
  double movedSincePassBytes() const;

  pid_t pid() const { return pid_; }
  // As of the last tick.
  const StatLine& stat() const { return stat_; }
  // Whether ticks since the last call found more work of children that were waited for.
  bool takeHasWaited() { return std::exchange(has_waited_, false); }
  double passedAtMs() const { return passed_at_ms_; }
  const Counters& counters() const { return counters_; }
  const Shares& shares() const { return shares_; }
  bool denied() const { return denied_; }
  bool ended() const { return !std::isnan(ended_at_ms_); }
  double beganAtMs() const { return began_at_ms_; }  // the first tick
  double endedAtMs() const { return ended_at_ms_; }
  uint64_t samples() const { return samples_; }
  uint64_t passes() const { return passes_; }

  Peak rss, rss_anon, shared, pss, uss;
  // The sampler's own: its index among all processes ever followed, and whether it was named.
  uint64_t id = 0;
  bool is_root = false;

 private:
  bool readStatus();
  bool readStat();
  Shares readShares(const std::vector<SampledSegment>& segments) const;
  bool end(double at_ms);

  pid_t pid_;
  ProcFile status_;
  ProcFile stat_file_;
  bool finds_files_;
  Counters counters_;
  StatLine stat_;
  bool has_waited_ = false;
  Shares shares_;
  Counters at_pass_;
  double passed_at_ms_ = NAN;
  int64_t pass_cost_ns_ = 0;
  double began_at_ms_ = NAN;
  double ended_at_ms_ = NAN;
  bool denied_ = false;
  uint64_t samples_ = 0;
  uint64_t passes_ = 0;
};

// CPU time of the calling thread.
int64_t threadCpuNs() noexcept;
double knownOrZero(double value) noexcept;

}  // namespace memdrift
