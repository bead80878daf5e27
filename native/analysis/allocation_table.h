// SPDX-License-Identifier: MIT
// A capture as an answer: its totals, and which stacks held how much at the peak or at the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/allocation_rows.h"
#include "analysis/allocation_sizes.h"
#include "analysis/child_peaks.h"
#include "analysis/js_heap.h"
#include "analysis/live_memory.h"
#include "analysis/memory_series.h"
#include "analysis/program_code.h"
#include "analysis/rss_growth.h"
#include "analysis/timeline.h"
#include "capture/capture_reader.h"

namespace memdrift {

struct CaptureTotals {
  EventCounts counts;
  AllocationSizes sizes;
  uint64_t peak_bytes = 0;
  // Bounds of the peak, with mappings counted by the resident bytes that looks found.
  uint64_t peak_low_bytes = 0;
  uint64_t peak_high_bytes = 0;
  uint64_t peak_ns = 0;          // since the start; the last time that was told before it
  uint64_t leaked_bytes = 0;     // live at the end
  uint64_t dropped_records = 0;  // of the end frame, or of the last losses frame
  uint64_t lost_threads = 0;     // threads that never left a record
  uint64_t duration_ns = 0;
  uint64_t file_bytes = 0;
  uint32_t pid = 0;
  uint64_t sample_bytes = 0;
  Growth growth;
  ChildPeaks children;
  uint64_t start_ns = 0;
  std::string info;         // JSON text about the process
  std::string damage;       // why the rest cannot be read; empty: all that was written is there
  uint32_t end_reason = 0;  // EndReason; 0: the process was killed, or still runs
};

struct AnalysisOptions {
  uint32_t temporary_threshold = 0;  // see LiveMemory
  bool has_all = false;              // also rows of what is not held at the moment asked for
  uint32_t intervals = 0;            // of the timeline; 0: there is none. A second pass
  // Leaves out allocations from this last part of the time; 0: none. A second pass
  uint32_t tail_percent = 0;
  bool joins_threads = false;  // one row for all threads; not for temporary blocks
  MappingWeight weight = MappingWeight::resident;
};

// Everything that one pass over a capture tells. Not for hooks; seconds for 100 M events.
class CaptureAnalysis final : CaptureVisitor {
 public:
  // Throws as CaptureReader.
  explicit CaptureAnalysis(const std::string& path, const AnalysisOptions& options = {});

  const CaptureTotals& totals() const { return totals_; }
  const MemorySeries& series() const { return series_; }
  // Empty without a timeline.
  std::vector<TimelineMoment> moments() const;
  // Reads the symbols of the objects that the stacks name.
  AllocationTable table(Moment moment) const;

 private:
  void onHeader(const CaptureHeader& header) override;
  void onInfo(std::string_view text) override;
  void onThread(const ThreadRecord& thread) override;
  void onModule(const ModuleRecord& module) override { code_.add(module); }
  void onCode(const CodeEvent& event) override { code_.add(event); }
  void onPlaceLines(const PlaceLines& place) override { code_.add(place); }
  void onJsHeap(const JsHeapProfile&, std::string_view payload) override {
    js_heap_.add(payload, live_.heap().peakBytes());
  }
  void onMemory(const MemoryPayload& memory) override;
  void onChild(const ChildRecord& child) override { totals_.children.add(child); }
  void onMarker(uint64_t time_ns, std::string_view label) override;
  std::string mainThread() const;
  void onEpoch(const EpochPayload& epoch) override;
  void onEvent(const Event& event) override;
  void onStreamEnd(uint32_t stream) override { live_.onStreamEnd(stream); }
  void onBlocks(const BlockEvents& events) override { live_.onBlocks(events); }
  void onStackResidency(const StackResidency& stack) override { live_.onStackResidency(stack); }
  void onMappingLook(std::span<const MappingResidency> look) override { live_.onMappingLook(look); }
  void onLosses(const LossPayload& losses) override;
  void onEnd(const EndPayload& end) override;

  void timeIs(uint64_t time_ns);
  void plan(const std::string& path, const AnalysisOptions& options);
  const SiteTotal& totalOf(const SiteTotals& totals, uint32_t site, Moment moment) const;
  std::vector<bool> wantedSites(Moment moment) const;
  uint64_t leftOutBytes(Moment moment) const;
  void addChanges(AllocationTable& table, const std::vector<uint32_t>& rows_of_sites) const;

  CaptureTotals totals_;
  LiveMemory live_;
  MemorySeries series_;
  bool has_all_;
  std::unique_ptr<Timeline> timeline_;
  RssGrowth growth_;
  JsHeapMoments js_heap_;
  ProgramCode code_;
  std::map<uint32_t, std::string> threads_;  // by stream
  uint64_t tail_ns_ = UINT64_MAX;            // when the tail begins
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
  int64_t peak_bytes_ = 0;  // until last_ns_
  uint64_t peak_ns_ = 0;
};

}  // namespace memdrift
