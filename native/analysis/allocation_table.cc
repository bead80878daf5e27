// SPDX-License-Identifier: MIT
#include "analysis/allocation_table.h"

#include <algorithm>
#include <set>
#include <unordered_map>

namespace memdrift {

CaptureAnalysis::CaptureAnalysis(const std::string& path, const AnalysisOptions& options)
    : live_(options.temporary_threshold) {
  if (options.intervals != 0) planTimeline(path, options.intervals);
  CaptureReader reader(path);
  reader.readAll(*this);
  live_.finish();
  series_.finish();
  if (timeline_) timeline_->finish(live_.heap());
  totals_.counts = live_.counts();
  totals_.peak_bytes = static_cast<uint64_t>(live_.heap().peakBytes());
  totals_.leaked_bytes = static_cast<uint64_t>(live_.heap().totalBytes());
  totals_.dropped_records = std::max(totals_.dropped_records, live_.counts().lost_records);
  totals_.start_ns = first_ns_;
  totals_.duration_ns = last_ns_ > first_ns_ ? last_ns_ - first_ns_ : 0;
  totals_.file_bytes = reader.fileBytes();
  totals_.damage = reader.damage();
  totals_.growth = growth_.highest();
  if (totals_.growth.time_ns != 0)
    totals_.growth.time_ns -= std::min(first_ns_, totals_.growth.time_ns);
}

// When the peak is, and when the end, is known after a pass only.
void CaptureAnalysis::planTimeline(const std::string& path, uint32_t intervals) {
  const CaptureAnalysis first(path);
  Timeline::Plan plan;
  plan.start_ns = first.first_ns_;
  plan.end_ns = first.first_ns_ + first.totals_.duration_ns;
  plan.intervals = intervals;
  plan.peak_change = first.live_.heap().peakChange();
  timeline_ = std::make_unique<Timeline>(plan);
  live_.follow(timeline_.get());
}

std::vector<TimelineMoment> CaptureAnalysis::moments() const {
  return timeline_ ? timeline_->moments() : std::vector<TimelineMoment>{};
}

void CaptureAnalysis::onMarker(uint64_t time_ns, std::string_view label) {
  if (timeline_) timeline_->mark(time_ns, std::string(label), live_.heap());
}

void CaptureAnalysis::onHeader(const CaptureHeader& header) {
  totals_.pid = header.pid;
  totals_.sample_bytes = header.sample_bytes;
  first_ns_ = header.start_monotonic_ns;
}

void CaptureAnalysis::onPlaceLines(const PlaceLines& place) {
  std::vector<Line>& lines = lines_[{place.code, place.offset}];
  lines.clear();
  for (const PlaceLine& one : place.lines)
    lines.push_back({one.line, std::string(one.function), std::string(one.file)});
}

void CaptureAnalysis::onMemory(const MemoryPayload& memory) {
  last_ns_ = memory.time_ns;
  growth_.add(memory, live_.blockBytes());
  series_.add({memory, static_cast<uint64_t>(std::max<int64_t>(live_.heap().totalBytes(), 0))});
  if (timeline_) timeline_->advance(memory.time_ns, live_.heap());
}

void CaptureAnalysis::onEpoch(const EpochPayload& epoch) {
  live_.onEpoch(epoch);
  last_ns_ = epoch.time_ns;
}

void CaptureAnalysis::onEnd(const EndPayload& end) {
  totals_.dropped_records = end.dropped_records;
  last_ns_ = end.time_ns;
}

void CaptureAnalysis::onThread(const ThreadRecord& thread) {
  if (thread.state != ThreadState::started) return;
  threads_[thread.stream] = std::to_string(thread.tid) + " " + std::string(thread.name);
}

void CaptureAnalysis::onModule(const ModuleRecord& module) {
  modules_[module.start_address] = {module.end_address, module.file_offset,
                                    std::string(module.path), std::string(module.build_id)};
}

std::string CaptureAnalysis::mainThread() const {
  const std::string tid = std::to_string(totals_.pid) + " ";
  for (const auto& [stream, name] : threads_)
    if (name.starts_with(tid)) return name;
  return "";
}

// Frames of stacks to text.
class CaptureAnalysis::Resolver {
 public:
  explicit Resolver(const CaptureAnalysis& of) : of_(of) {}

  // Numbers of frames, innermost first.
  std::vector<uint32_t> stack(uint32_t stream, uint32_t node) {
    std::vector<uint32_t> frames;
    while (node != 0) {
      const StackNode& one = of_.live_.node(stream, node);
      const std::vector<uint32_t>& here = frameNumbers(one);
      frames.insert(frames.end(), here.begin(), here.end());
      node = one.parent;
    }
    return frames;
  }
  std::vector<StackFrame> takeFrames() { return std::move(frames_); }
  const std::vector<StackFrame>& frames() const { return frames_; }

 private:
  // More than one where functions were compiled into one another; innermost first.
  const std::vector<uint32_t>& frameNumbers(const StackNode& node) {
    const auto lines = of_.lines_.find({node.code, node.place});
    const bool has_lines = node.code != 0 && lines != of_.lines_.end();
    // Places in the same piece of code are the same function.
    const std::pair key(node.code, node.code == 0 || has_lines ? node.place : 0);
    const auto [found, is_new] = numbers_.try_emplace(key);
    if (!is_new) return found->second;
    StackFrame outer = frameOf(node);
    if (has_lines) {
      outer.line = lines->second[0].line;
      for (size_t i = lines->second.size(); --i > 0;) {
        const Line& inlined = lines->second[i];
        found->second.push_back(
            add({inlined.function, inlined.file, 0, 0, inlined.line, true, false}));
      }
    }
    found->second.push_back(add(std::move(outer)));
    return found->second;
  }
  uint32_t add(StackFrame frame) {
    const auto [found, is_new] =
        frame_numbers_.try_emplace(frame, static_cast<uint32_t>(frames_.size()));
    if (is_new) frames_.push_back(std::move(frame));
    return found->second;
  }
  StackFrame frameOf(const StackNode& node) {
    if (node.code != 0) {
      const auto name = of_.code_.find(node.code);
      if (name == of_.code_.end()) return {};
      const FunctionName known = functionNameOf(name->second);
      return {known.function, known.file, known.line, known.column, 0, false, !known.is_js};
    }
    return node.place == 0 ? nativeFrame("(older frames)", "") : nativeFrameAt(node.place);
  }
  static StackFrame nativeFrame(const std::string& function, const std::string& object) {
    return {function, object, 0, 0, 0, false, true};
  }
  StackFrame nativeFrameAt(uint64_t pc) {
    auto beyond = of_.modules_.upper_bound(pc - 1);
    if (beyond == of_.modules_.begin()) return nativeFrame("", "");
    const auto& [start, module] = *--beyond;
    if (pc - 1 >= module.end) return nativeFrame("", "");
    auto& symbols = symbols_[module.path];
    if (!symbols) symbols = std::make_unique<ElfSymbols>(module.path, module.build_id);
    return nativeFrame(symbols->nameAt(pc - 1 - start + module.file_offset), module.path);
  }

  const CaptureAnalysis& of_;
  std::map<std::pair<uint32_t, uint64_t>, std::vector<uint32_t>> numbers_;
  std::vector<StackFrame> frames_;
  std::map<StackFrame, uint32_t> frame_numbers_;
  std::map<std::string, std::unique_ptr<ElfSymbols>> symbols_;
};

namespace {

// True for a frame of what Node and V8 take the memory behind Buffers and ArrayBuffers from.
bool makesBuffers(const StackFrame& frame) {
  return frame.is_native && frame.function.find("ArrayBufferAllocator::") != std::string::npos;
}

// It calls malloc itself, or through a function or two: what has it further out is about a buffer.
constexpr size_t kAllocatorFrames = 4;

const char* kindName(AllocationKind kind) {
  switch (kind) {
    case AllocationKind::block:
      return "malloc";
    case AllocationKind::mapping:
      return "mmap";
    case AllocationKind::file:
      return "file";
    case AllocationKind::shared:
      return "shm";
    default:
      return "stack";
  }
}

}  // namespace

const SiteTotal& CaptureAnalysis::totalOf(const SiteTotals& totals, uint32_t site,
                                          Moment moment) const {
  static constexpr SiteTotal kNothing = {};
  if (moment == Moment::peak) return totals.atPeak(site);
  if (moment == Moment::end) return totals.now(site);
  const std::vector<SiteTotal>& temporary = live_.temporary();
  return &totals == &live_.heap() && site < temporary.size() ? temporary[site] : kNothing;
}

// The sites' changes as those of the rows that they are in.
void CaptureAnalysis::addChanges(AllocationTable& table) const {
  std::vector<uint32_t> rows(live_.sites().size(), UINT32_MAX);
  for (uint32_t row = 0; row < table.rows.size(); row++)
    for (const uint32_t site : table.rows[row].sites) rows[site] = row;
  std::map<std::pair<uint32_t, uint32_t>, SiteTotal> sums;
  for (const SiteChange& change : timeline_->changes()) {
    if (rows[change.site] == UINT32_MAX) continue;
    SiteTotal& sum = sums[{change.moment, rows[change.site]}];
    sum.bytes = wrappingSum(sum.bytes, change.bytes);
    sum.count += change.count;
  }
  for (const auto& [key, sum] : sums)
    table.changes.push_back({key.first, key.second, sum.bytes, sum.count});
}

AllocationTable CaptureAnalysis::table(Moment moment) const {
  struct Held {
    uint32_t site;
    SiteTotal total;
  };
  std::vector<Held> held;
  Resolver resolver(*this);
  AllocationTable table;
  std::vector<bool> has_changes(live_.sites().size());
  if (timeline_)
    for (const SiteChange& change : timeline_->changes()) has_changes[change.site] = true;
  const auto collect = [&](const SiteTotals& totals, bool is_heap) {
    for (uint32_t site = 0; site < totals.siteCount(); site++) {
      const SiteTotal& total = totalOf(totals, site, moment);
      if (total.bytes <= 0 && total.count <= 0 && !(is_heap && has_changes[site])) continue;
      held.push_back({site, total});
      if (is_heap) table.total_bytes += static_cast<uint64_t>(total.bytes);
    }
  };
  collect(live_.heap(), true);
  collect(live_.beside(), false);
  // Stacks that differ by address only read the same.
  struct Row {
    SiteTotal total;
    std::vector<uint32_t> sites;
  };
  std::map<std::tuple<std::vector<uint32_t>, std::string, std::string>, Row> rows;
  for (const Held& one : held) {
    const Site& site = live_.sites()[one.site];
    auto stack = resolver.stack(site.stream, site.node);
    const auto is_buffer = [&](uint32_t frame) { return makesBuffers(resolver.frames()[frame]); };
    const auto inner = stack.begin() + static_cast<long>(std::min(stack.size(), kAllocatorFrames));
    const bool is_of_buffer =
        site.kind == AllocationKind::block && std::any_of(stack.begin(), inner, is_buffer);
    const auto thread = threads_.find(site.stream);
    Row& row = rows[{std::move(stack), is_of_buffer ? "buffer" : kindName(site.kind),
                     thread == threads_.end() ? "" : thread->second}];
    row.total.bytes += one.total.bytes;
    row.total.count += one.total.count;
    if (timeline_) row.sites.push_back(one.site);
  }
  for (auto& [key, row] : rows)
    table.rows.push_back({static_cast<uint64_t>(std::max<int64_t>(row.total.bytes, 0)),
                          static_cast<uint64_t>(std::max<int64_t>(row.total.count, 0)),
                          std::get<1>(key), std::get<2>(key), std::get<0>(key),
                          std::move(row.sites)});
  std::stable_sort(table.rows.begin(), table.rows.end(),
                   [](const TableRow& a, const TableRow& b) { return a.bytes > b.bytes; });
  table.frames = resolver.takeFrames();
  if (timeline_) {
    addChanges(table);
    return table;
  }
  if (moment == Moment::temporary) return table;
  addJsHeap(table, js_heap_.at(moment, live_.heap().peakBytes()), mainThread());
  return table;
}

}  // namespace memdrift
