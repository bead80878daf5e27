// SPDX-License-Identifier: MIT
// Follows a group of processes from a thread of its own: counters at every tick, passes over smaps
// when the budget allows or somebody asks. Peaks are kept here, so whoever receives the samples may
// lose some without losing a peak.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>
#include <variant>
#include <vector>

#include "proc/group_estimate.h"
#include "proc/pass_clock.h"
#include "proc/sampled_process.h"
#include "proc/system_counters.h"
#include "proc/tree_scan.h"

namespace memdrift {

struct SamplerOptions {
  double interval_ms = 100;
  double budget_percent = 1;  // of one core, for everything that the thread does; 0: no own passes
  std::vector<std::string> segments;
  // Follows all that descend from the processes that are added, also what is made later.
  bool tree = false;
  std::string mark;  // see TreeScan
  // CPU time for passes that the thread has at its beginning, as if it had waited for it.
  double start_credit_ms = 0;
  // True when passes read this process too. Otherwise it is not a member of the group, and neither
  // are its children that were not added.
  bool own_passes = true;
  bool is_closed = false;    // see GroupRules
  double limit_bytes = NAN;  // passes are preferred while bounds contain it
};

struct SegmentSize {
  std::string path;
  double resident_bytes;
};

// Processes of the tree that ended before a tick saw them: those that a list still showed, and one
// for each time that a parent was found to have waited for a child that nobody knew. There may be
// as many as pids were given out on the system and never seen; NaN: not known.
struct EarlyEnds {
  uint64_t at_least = 0;
  double at_most = NAN;
};

// One look at the counters. Times are milliseconds since the sampler began; NaN: not known.
struct Sample {
  struct Process {
    pid_t pid, parent_pid;
    std::string name;
    double start_time_ticks;
    double rss_bytes, rss_anon_bytes, rss_file_bytes, rss_shmem_bytes, swap_bytes;
    double shared_bytes;    // RssFile + RssShmem, as statm has it
    double peak_rss_bytes;  // VmHWM
    double stat_rss_bytes;  // field 24 of stat
    double cpu_ms;
    double pss_bytes;  // moved from the last pass to now; NaN before there was one
    double uss_bytes, passed_at_ms;
    bool denied;         // the kernel does not show its smaps
    double fault_bytes;  // one page per fault since its start
    Bounds pss;          // pss_bytes is its value once it was read
  };
  double at_ms = 0;
  std::vector<Process> processes;
  std::vector<SegmentSize> segments;
  double sum_rss_bytes = 0;
  double footprint_bytes = NAN;
  Exactness footprint_exactness = Exactness::kEstimated;
  GroupBounds group;
  uint64_t lost_processes = 0;
  EarlyEnds early_ends;
  double huge_bytes = NAN;  // see SystemLook
  double pages_per_fault = NAN;
};

// One look at smaps of every process.
struct PassResult {
  struct Process {
    pid_t pid;
    Shares shares;
  };
  double at_ms = 0;
  std::vector<Process> processes;
  std::vector<SegmentSize> segments;
  std::vector<pid_t> unknown_pids;  // alive, but the kernel does not show their smaps
  double sum_rss_bytes = 0;         // these four NaN unless every process is known
  double sum_pss_bytes = 0;
  double sum_uss_bytes = 0;
  double footprint_bytes = NAN;
  Exactness footprint_exactness = Exactness::kExact;
  uint64_t lost_processes = 0;
  double cpu_ms = 0;
};

struct SamplerReport {
  struct Process {
    pid_t pid, parent_pid;
    std::string name;  // as it was last
    double start_time_ticks;
    uint64_t samples, passes;
    double began_at_ms, ended_at_ms;  // followed from and until

    bool denied;
    Peak rss, rss_anon, shared, pss, uss;
  };
  struct Segment {
    std::string path;
    double peak_bytes;
  };
  std::vector<Process> processes;
  std::vector<Segment> segments;
  uint64_t forgotten_processes = 0;   // ended and smaller than all that are in the list
  uint64_t unfollowed_processes = 0;  // could not be opened: too many files, mostly
  EarlyEnds early_ends;
  Peak footprint;
  // The highest lower bound and the highest upper bound of all looks.
  double footprint_low = NAN, footprint_high = NAN;
  double sum_rss_bytes_then = NAN;
  double cpu_ms = 0, wall_ms = 0;
  uint64_t samples = 0, samples_missed = 0, passes = 0, passes_skipped = 0, lost_processes = 0;
};

// A pass that was asked for: `ticket` is what requestPass() returned. Without a result the sampler
// was stopped before it was done.
struct PassDone {
  std::vector<uint64_t> tickets;
  std::shared_ptr<const PassResult> result;
};

// `Stopped` is the last event; nothing of the sampler is used after it was handed over.
using SamplerEvent = std::variant<Sample, PassDone, SamplerReport>;

class Sampler {
 public:
  // `deliver` is called on the sampler's thread and must not wait. The thread begins with start().
  Sampler(SamplerOptions options, std::function<void(SamplerEvent)> deliver);
  // Stops and waits: at most for the smaps of one process.
  ~Sampler();
  Sampler(const Sampler&) = delete;
  Sampler& operator=(const Sampler&) = delete;

  // From any thread. add() throws ERR_GONE, ERR_DENIED; a pid that is followed already is left
  // alone.
  void add(pid_t pid);
  void remove(pid_t pid);
  void start();
  uint64_t requestPass();
  void requestStop();
  void join();

 private:
  using ProcessPointer = std::unique_ptr<SampledProcess>;
  struct Inbox {
    std::vector<ProcessPointer> added;
    std::vector<pid_t> removed;
    std::vector<uint64_t> tickets;
    bool stop = false;
  };

  void run();
  Inbox waitForWork();
  void take(Inbox& inbox);
  void tick();
  bool tickAll(double at_ms);
  void discover(double at_ms);
  void follow(const StatLine& line, double at_ms);
  void countEarlyEnds();
  EarlyEnds earlyEnds() const;
  void bury(const SampledProcess& process);
  SampledProcess::Detail detail() const {
    return tree_ ? SampledProcess::Detail::kWithFiles : SampledProcess::Detail::kSums;
  }
  Sample::Process rowOf(const SampledProcess& process) const;
  int64_t creditForPassNs();
  std::shared_ptr<const PassResult> pass();
  bool isMember(const SampledProcess& process) const;
  bool passOver(SampledProcess& process, PassResult& result);
  void finishPass(PassResult& result);
  void lookAtSegments();
  std::vector<SegmentSize> segmentSizes() const;
  GroupLook groupLook(double at_ms);
  MemberRead readOf(const SampledProcess& process) const;
  void addSegmentsOf(const Shares& shares);
  struct FootprintLook {
    double at_ms, bytes, sum_rss_bytes, low, high;
    Exactness exactness;
  };
  void offerFootprint(const FootprintLook& look);
  int64_t predictedPassNs() const;
  static double widthOf(const GroupBounds& bounds);
  bool stopRequested();
  void finish(std::vector<uint64_t> tickets);
  SamplerReport report() const;
  double nowMs() const;

  const SamplerOptions options_;
  const std::function<void(SamplerEvent)> deliver_;
  const pid_t own_pid_ = getpid();
  const double page_bytes_ = static_cast<double>(sysconf(_SC_PAGESIZE));
  const double ms_per_tick_ = 1000.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  std::thread thread_;
  std::mutex mutex_;  // guards inbox_, next_ticket_
  std::condition_variable wake_;
  Inbox inbox_;
  uint64_t next_ticket_ = 1;

  // The thread's own from here on.
  int64_t start_ns_ = 0;
  TickClock ticks_{0, 1};
  PassClock budget_{0, 0};
  std::vector<SampledSegment> segments_;
  std::vector<ProcessPointer> live_;
  std::vector<ProcessPointer> ended_;         // a pass under way may still come to them
  std::vector<SamplerReport::Process> past_;  // ended or removed: they keep their peaks
  uint64_t forgotten_ = 0, unfollowed_ = 0;
  std::unique_ptr<TreeScan> tree_;
  SystemCounters system_;
  GroupEstimate group_;
  uint64_t next_id_ = 1;
  size_t base_segments_ = 0;  // number of segments_ that the group's bounds cover
  double footprint_low_ = NAN, footprint_high_ = NAN;
  std::unordered_map<pid_t, uint64_t> unwaited_;  // children that ended, by parent
  uint64_t early_ends_ = 0;
  PassPlan plan_;
  Peak footprint_;
  double sum_rss_then_ = NAN;
  uint64_t samples_ = 0, passes_ = 0, lost_ = 0;
};

}  // namespace memdrift
