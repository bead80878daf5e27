// SPDX-License-Identifier: MIT
// Follows a group of processes from a thread of its own: counters at every tick, passes over smaps
// when the budget allows or somebody asks. Peaks are kept here, so whoever receives the samples may
// lose some without losing a peak.
#pragma once

#include <sys/types.h>

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <variant>
#include <vector>

#include "proc/pass_clock.h"
#include "proc/sampled_process.h"

namespace memdrift {

struct SamplerOptions {
  double interval_ms = 100;
  double budget_percent = 1;  // of one core, for everything that the thread does; 0: no own passes
  std::vector<std::string> segments;
};

struct SegmentSize {
  std::string path;
  double resident_bytes;
};

// One look at the counters. Times are milliseconds since the sampler began; NaN: not known.
struct Sample {
  struct Process {
    pid_t pid;
    double rss_bytes, rss_anon_bytes, rss_file_bytes, rss_shmem_bytes, swap_bytes;
  };
  double at_ms = 0;
  std::vector<Process> processes;
  std::vector<SegmentSize> segments;
  double sum_rss_bytes = 0;
  double footprint_bytes = NAN;
  Exactness footprint_exactness = Exactness::kEstimated;
  uint64_t lost_processes = 0;
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
    pid_t pid;
    uint64_t samples, passes;
    double ended_at_ms;
    bool denied;
    Peak rss, rss_anon, shared, pss, uss;
  };
  struct Segment {
    std::string path;
    double peak_bytes;
  };
  std::vector<Process> processes;
  std::vector<Segment> segments;
  Peak footprint;
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
  std::shared_ptr<const PassResult> pass();
  bool passOver(SampledProcess& process, PassResult& result);
  void finishPass(PassResult& result);
  void lookAtSegments();
  std::vector<SegmentSize> segmentSizes() const;
  double footprintBytes() const;
  template <typename Look>
  void offerFootprint(const Look& look);
  int64_t predictedPassNs() const;
  bool stopRequested();
  void finish(std::vector<uint64_t> tickets);
  SamplerReport report() const;
  double nowMs() const;

  const SamplerOptions options_;
  const std::function<void(SamplerEvent)> deliver_;
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
  std::vector<ProcessPointer> past_;  // ended or removed: they keep their peaks
  Peak footprint_;
  double sum_rss_then_ = NAN;
  uint64_t samples_ = 0, passes_ = 0, lost_ = 0;
};

}  // namespace memdrift
