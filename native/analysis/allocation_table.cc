// SPDX-License-Identifier: MIT
#include "analysis/allocation_table.h"

#include <algorithm>
#include <numeric>
#include <string_view>
#include <unordered_map>

#include "analysis/call_tree.h"

namespace memdrift {

CaptureAnalysis::CaptureAnalysis(const std::string& path, const AnalysisOptions& options)
    : live_({.temporary_threshold = options.temporary_threshold,
             // The block's thread says whether a block was temporary.
             .joins_threads = options.joins_threads && options.temporary_threshold == 0,
             .keeps_ended = options.has_all,
             .weight = options.weight}),
      has_all_(options.has_all) {
  if (options.intervals != 0 || options.tail_percent != 0) plan(path, options);
  CaptureReader reader(path);
  reader.readAll(*this);
  live_.finish();
  series_.finish();
  if (timeline_) timeline_->finish(live_.heap());
  totals_.counts = live_.counts();
  totals_.sizes = live_.sizes();
  timeIs(last_ns_);
  totals_.peak_bytes = static_cast<uint64_t>(live_.heap().peakBytes());
  totals_.peak_low_bytes = totals_.peak_high_bytes = totals_.peak_bytes;
  if (options.weight == MappingWeight::resident) {
    totals_.peak_low_bytes = static_cast<uint64_t>(live_.bounds().lowBytes());
    totals_.peak_high_bytes = static_cast<uint64_t>(live_.bounds().highBytes());
  }
  totals_.peak_ns = peak_ns_ > first_ns_ ? peak_ns_ - first_ns_ : 0;
  totals_.leaked_bytes = static_cast<uint64_t>(live_.heap().totalBytes());
  totals_.dropped_records = std::max(totals_.dropped_records, live_.counts().lost_records);
  totals_.start_ns = first_ns_;
  totals_.duration_ns = last_ns_ > first_ns_ ? last_ns_ - first_ns_ : 0;
  totals_.file_bytes = reader.fileBytes();
  totals_.damage = reader.damage();
  totals_.end_reason = reader.endReason();
  totals_.growth = growth_.highest();
  if (totals_.growth.time_ns != 0)
    totals_.growth.time_ns -= std::min(first_ns_, totals_.growth.time_ns);
}

// When the peak is, and when the end, is known after a pass only.
void CaptureAnalysis::plan(const std::string& path, const AnalysisOptions& options) {
  AnalysisOptions first_options;
  first_options.weight = options.weight;
  const CaptureAnalysis first(path, first_options);
  const uint64_t duration_ns = first.totals_.duration_ns;
  if (options.tail_percent != 0)
    tail_ns_ = first.first_ns_ + duration_ns - duration_ns / 100 * options.tail_percent;
  if (options.intervals == 0) return;
  Timeline::Plan plan;
  plan.start_ns = first.first_ns_;
  plan.end_ns = first.first_ns_ + duration_ns;
  plan.intervals = options.intervals;
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
  first_ns_ = last_ns_ = header.start_monotonic_ns;
}

void CaptureAnalysis::onInfo(std::string_view text) {
  totals_.info = text;
  // In JSON no string within a value can have these bytes.
  code_.joinPlaces(text.find("\"lines\":false") != std::string_view::npos);
}

void CaptureAnalysis::onEvent(const Event& event) {
  if (event.type != EventType::node || event.code == 0) return live_.onEvent(event);
  Event node = event;
  code_.join(node);
  live_.onEvent(node);
}

void CaptureAnalysis::onMemory(const MemoryPayload& memory) {
  timeIs(memory.time_ns);
  live_.onMemory(memory);
  growth_.add(memory, live_.blockRoom());
  series_.add({memory, static_cast<uint64_t>(std::max<int64_t>(live_.heap().totalBytes(), 0))});
  if (timeline_) timeline_->advance(memory.time_ns, live_.heap());
}

void CaptureAnalysis::onEpoch(const EpochPayload& epoch) {
  live_.onEpoch(epoch);
  timeIs(epoch.time_ns);
}

// Events have no times of their own: a new peak was between the last time that was told and this.
void CaptureAnalysis::timeIs(uint64_t time_ns) {
  const int64_t peak_bytes = live_.heap().peakBytes();
  if (peak_bytes > peak_bytes_) peak_ns_ = last_ns_;
  peak_bytes_ = peak_bytes;
  last_ns_ = time_ns;
  if (time_ns >= tail_ns_) live_.leaveOutFromHere();
}

void CaptureAnalysis::onLosses(const LossPayload& losses) {
  totals_.dropped_records = losses.dropped_records;
  totals_.lost_threads = losses.lost_threads;
}

void CaptureAnalysis::onEnd(const EndPayload& end) {
  live_.onEnd(end);
  totals_.dropped_records = end.dropped_records;
  totals_.lost_threads = end.lost_threads;
  timeIs(end.time_ns);
}

void CaptureAnalysis::onThread(const ThreadRecord& thread) {
  if (thread.state != ThreadState::started) return;
  threads_[thread.stream] = std::to_string(thread.tid) + " " + std::string(thread.name);
}

std::string CaptureAnalysis::mainThread() const {
  const std::string tid = std::to_string(totals_.pid) + " ";
  for (const auto& [stream, name] : threads_)
    if (name.starts_with(tid)) return name;
  return "";
}

namespace {

// What Node and V8 take the memory behind Buffers and ArrayBuffers from.
constexpr std::string_view kBufferAllocator = "ArrayBufferAllocator::";
// It calls malloc itself, or through a function or two: what has it further out is about a buffer.
constexpr size_t kAllocatorFrames = 4;

RowKind rowKindOf(AllocationKind kind) {
  switch (kind) {
    case AllocationKind::block:
      return RowKind::k_malloc;
    case AllocationKind::mapping:
      return RowKind::k_mmap;
    case AllocationKind::file:
      return RowKind::k_file;
    case AllocationKind::shared:
      return RowKind::k_shm;
    default:
      return RowKind::k_stack;
  }
}

constexpr uint32_t kNoRow = UINT32_MAX;

// Rows by what they are told by: stack, kind and thread.
class Rows {
 public:
  uint32_t of(uint32_t node, RowKind kind, uint32_t thread) {
    const uint64_t what = static_cast<uint64_t>(thread) << 8 | static_cast<uint64_t>(kind);
    const auto [found, is_new] =
        numbers_.try_emplace({node, what}, static_cast<uint32_t>(all_.size()));
    if (is_new) all_.push_back({0, 0, kind, thread, node, 0, 0});
    return found->second;
  }
  std::vector<TableRow>& all() { return all_; }

 private:
  struct Key {
    uint32_t node;
    uint64_t what;
    bool operator==(const Key&) const = default;
  };
  struct Hash {
    size_t operator()(const Key& key) const noexcept {
      return (key.what << 32 ^ key.what >> 32 ^ key.node) * 0x9e3779b97f4a7c15U >> 7;
    }
  };

  std::unordered_map<Key, uint32_t, Hash> numbers_;
  std::vector<TableRow> all_;
};

// Names by number, each once.
class ThreadNames {
 public:
  explicit ThreadNames(const std::map<uint32_t, std::string>& by_stream) : by_stream_(by_stream) {}

  uint32_t of(const std::string& name) {
    const auto [found, is_new] = numbers_.try_emplace(name, static_cast<uint32_t>(all_.size()));
    if (is_new) all_.push_back(name);
    return found->second;
  }
  uint32_t ofStream(uint32_t stream) {
    const auto thread = by_stream_.find(stream);
    return of(thread == by_stream_.end() ? "" : thread->second);
  }
  std::vector<std::string> take() { return std::move(all_); }

 private:
  const std::map<uint32_t, std::string>& by_stream_;
  std::map<std::string, uint32_t> numbers_;
  std::vector<std::string> all_;
};

void addTo(TableRow& row, const SiteTotal& total, const SiteTotal& ever) {
  row.bytes += static_cast<uint64_t>(total.bytes);
  row.count += static_cast<uint64_t>(total.count);
  row.ever_bytes += static_cast<uint64_t>(ever.bytes);
  row.ever_count += static_cast<uint64_t>(ever.count);
}

uint64_t notNegative(uint64_t sum) { return static_cast<int64_t>(sum) < 0 ? 0 : sum; }

// Largest first. `rows_of_sites` follows them.
void sortRows(std::vector<TableRow>& rows, std::vector<uint32_t>& rows_of_sites) {
  // A damaged capture can give more back than there was.
  for (TableRow& row : rows) {
    row.bytes = notNegative(row.bytes);
    row.count = notNegative(row.count);
  }
  std::vector<uint32_t> order(rows.size());
  std::iota(order.begin(), order.end(), 0U);
  std::stable_sort(order.begin(), order.end(),
                   [&](uint32_t a, uint32_t b) { return rows[a].bytes > rows[b].bytes; });
  std::vector<TableRow> sorted;
  sorted.reserve(rows.size());
  std::vector<uint32_t> places(rows.size());
  for (const uint32_t row : order) {
    places[row] = static_cast<uint32_t>(sorted.size());
    sorted.push_back(rows[row]);
  }
  rows = std::move(sorted);
  for (uint32_t& row : rows_of_sites)
    if (row != kNoRow) row = places[row];
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

// Sites that a table of that moment has rows for.
std::vector<bool> CaptureAnalysis::wantedSites(Moment moment) const {
  std::vector<bool> wanted(live_.sites().size());
  const auto add = [&](const SiteTotals& totals) {
    for (uint32_t site = 0; site < totals.siteCount(); site++) {
      const SiteTotal& total = totalOf(totals, site, moment);
      const bool has_been = has_all_ && totals.ever(site).count > 0;
      if (total.bytes > 0 || total.count > 0 || has_been) wanted[site] = true;
    }
  };
  add(live_.heap());
  add(live_.beside());
  if (timeline_)
    for (const SiteChange& change : timeline_->changes()) wanted[change.site] = true;
  for (uint32_t site = 1; site < wanted.size(); site++)
    if (live_.isLeftOut(site)) wanted[site] = false;
  return wanted;
}

uint64_t CaptureAnalysis::leftOutBytes(Moment moment) const {
  int64_t bytes = 0;
  for (uint32_t site = 1; site < live_.heap().siteCount(); site++)
    if (live_.isLeftOut(site)) bytes += totalOf(live_.heap(), site, moment).bytes;
  return notNegative(static_cast<uint64_t>(bytes));
}

// The sites' changes as those of the rows that they are in.
void CaptureAnalysis::addChanges(AllocationTable& table,
                                 const std::vector<uint32_t>& rows_of_sites) const {
  std::map<std::pair<uint32_t, uint32_t>, SiteTotal> sums;
  for (const SiteChange& change : timeline_->changes()) {
    if (rows_of_sites[change.site] == kNoRow) continue;  // left out
    SiteTotal& sum = sums[{change.moment, rows_of_sites[change.site]}];
    sum.bytes = wrappingSum(sum.bytes, change.bytes);
    sum.count += change.count;
  }
  for (const auto& [key, sum] : sums)
    table.changes.push_back({key.first, key.second, sum.bytes, sum.count});
}

AllocationTable CaptureAnalysis::table(Moment moment) const {
  AllocationTable table;
  CallTree tree(live_, code_);
  FramesNamed buffer_allocators(tree, kBufferAllocator);
  ThreadNames threads(threads_);
  Rows rows;
  std::vector<uint32_t> rows_of_sites(live_.sites().size(), kNoRow);
  const std::vector<bool> wanted = wantedSites(moment);
  for (uint32_t number = 0; number < wanted.size(); number++) {
    if (!wanted[number]) continue;
    const Site& site = live_.sites()[number];
    const bool is_heap = isOfHeap(site.kind);
    const SiteTotals& totals = is_heap ? live_.heap() : live_.beside();
    const SiteTotal& total = totalOf(totals, number, moment);
    const uint32_t node = tree.nodeOf(site.node);
    const bool is_of_buffer = site.kind == AllocationKind::block &&
                              buffer_allocators.isAmongInnermost(kAllocatorFrames, node);
    const RowKind kind = is_of_buffer ? RowKind::k_buffer : rowKindOf(site.kind);
    rows_of_sites[number] = rows.of(node, kind, threads.ofStream(site.stream));
    addTo(rows.all()[rows_of_sites[number]], total, totals.ever(number));
    if (is_heap) table.total_bytes += static_cast<uint64_t>(total.bytes);
  }
  table.left_out_bytes = leftOutBytes(moment);
  table.rows = std::move(rows.all());
  sortRows(table.rows, rows_of_sites);
  if (timeline_)
    addChanges(table, rows_of_sites);
  else if (moment != Moment::temporary)
    addJsHeap(table, tree,
              {js_heap_.at(moment, live_.heap().peakBytes()), threads.of(mainThread())});
  tree.moveTo(table);
  table.threads = threads.take();
  return table;
}

}  // namespace memdrift
