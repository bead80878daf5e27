// SPDX-License-Identifier: MIT
// A capture as an answer: its totals, and which stacks held how much at the peak or at the end.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "analysis/code_names.h"
#include "analysis/elf_symbols.h"
#include "analysis/live_memory.h"
#include "analysis/rss_growth.h"
#include "capture/capture_reader.h"

namespace memdrift {

struct CaptureTotals {
  EventCounts counts;
  uint64_t peak_bytes = 0;
  uint64_t leaked_bytes = 0;     // live at the end
  uint64_t dropped_records = 0;  // as the end says, or the streams where there is no end
  uint64_t duration_ns = 0;
  uint64_t file_bytes = 0;
  uint32_t pid = 0;
  uint64_t sample_bytes = 0;
  Growth growth;
  std::string info;    // JSON text about the process
  std::string damage;  // why the rest cannot be read; empty: the capture is whole
};

struct StackFrame {
  std::string function;  // empty: not known
  std::string file;      // of JavaScript; of native code the object
  uint32_t function_line = 0;
  uint32_t column = 0;
  uint32_t line = 0;        // that was executing; 0: not known
  bool is_inlined = false;  // compiled into the function that called it
  bool is_native = false;

  auto operator<=>(const StackFrame&) const = default;
};

// Memory of one stack, thread and kind.
struct TableRow {
  uint64_t bytes;
  uint64_t count;
  std::string kind;  // malloc, buffer, mmap, file, shm, stack
  std::string thread;
  std::vector<uint32_t> stack;  // numbers of frames, innermost first
};

enum class Moment { peak, end };

struct AllocationTable {
  uint64_t total_bytes = 0;  // of the heap's kinds: what the rows of malloc, buffer, mmap add up to
  std::vector<StackFrame> frames;
  std::vector<TableRow> rows;  // largest first
};

// Everything that one pass over a capture tells. Not for hooks; seconds for 100 M events.
class CaptureAnalysis final : CaptureVisitor {
 public:
  // Throws as CaptureReader.
  explicit CaptureAnalysis(const std::string& path);

  const CaptureTotals& totals() const { return totals_; }
  // Reads the symbols of the objects that the stacks name.
  AllocationTable table(Moment moment) const;

 private:
  void onHeader(const CaptureHeader& header) override;
  void onInfo(std::string_view text) override { totals_.info = text; }
  void onThread(const ThreadRecord& thread) override;
  void onModule(const ModuleRecord& module) override;
  void onCode(const CodeEvent& event) override { code_[event.number] = event.name; }
  void onPlaceLines(const PlaceLines& place) override;
  void onMemory(const MemoryPayload& memory) override;
  void onEpoch(const EpochPayload& epoch) override;
  void onEvent(const Event& event) override { live_.onEvent(event); }
  void onStackResidency(const StackResidency& stack) override { live_.onStackResidency(stack); }
  void onEnd(const EndPayload& end) override;

  struct LoadedModule {
    uint64_t end;
    uint64_t file_offset;
    std::string path;
    std::string build_id;
  };
  struct Line {
    uint32_t line;
    std::string function;
    std::string file;
  };
  class Resolver;

  CaptureTotals totals_;
  LiveMemory live_;
  RssGrowth growth_;
  std::map<uint32_t, std::string> code_;  // names by number
  // Of the functions at a place of code, from without.
  std::map<std::pair<uint32_t, uint64_t>, std::vector<Line>> lines_;
  std::map<uint64_t, LoadedModule> modules_;  // by start
  std::map<uint32_t, std::string> threads_;   // by stream
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
};

}  // namespace memdrift
