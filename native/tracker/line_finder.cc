// SPDX-License-Identifier: MIT
#include "tracker/line_finder.h"

#include <time.h>

#include <algorithm>
#include <limits>
#include <string_view>
#include <vector>

#include "capture/line_stream.h"
#include "tracker/sample_lines.h"

namespace memdrift {

namespace {

// V8's clock: CLOCK_MONOTONIC, and 1 us more so that it is never 0.
int64_t nowUs() noexcept {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1'000'000 + now.tv_nsec / 1000 + 1;
}

// V8 takes samples of its own as often as this says: never, nearly.
constexpr int kSamplingIntervalUs = 1'000'000'000;

// The word of the isolate that says by which frame JavaScript was left is one of the frames here.
bool isExitFrame(uintptr_t word, const StackBounds& stack) noexcept {
  auto at = reinterpret_cast<uintptr_t>(__builtin_frame_address(0));
  constexpr int kMostFrames = 32;
  for (int i = 0; i < kMostFrames && at != word; i++) {
    const uintptr_t outer = *reinterpret_cast<const uintptr_t*>(at);
    if (outer <= at || outer > stack.end - 16 || (outer & 7) != 0) return false;
    at = outer;
  }
  return at == word;
}

}  // namespace

bool LineFinder::start(v8_api::Isolate* isolate, const StackBounds& stack) {
  stop();
  const v8_api::ProfilerApi* api = v8_api::profilerApi();
  if (!api) return false;
  if (!isExitFrame(v8_api::wordOf(isolate, api->exit_frame_offset), stack)) return false;
  const v8_api::Slot text = api->newString(isolate, "memdrift", 0, -1);
  title_ = text ? v8_api::keep(isolate, text) : nullptr;
  if (!title_) return false;
  isolate_ = isolate;
  places_ = std::make_unique<Places>();
  sample_count_ = 0;
  missed_ = 0;
  asks_.clear();
  profiler_ = api->create(isolate, v8_api::kDebugNaming, v8_api::kEagerLogging);
  api->setSamplingInterval(profiler_, kSamplingIntervalUs);
  startProfile();
  return true;
}

void LineFinder::startProfile() {
  v8_api::profilerApi()->start(profiler_, title_, v8_api::kCallerLineNumbers, true,
                               v8_api::kNoSampleLimit);
}

void LineFinder::stop() {
  if (!isOn()) return;
  const v8_api::ProfilerApi* api = v8_api::profilerApi();
  if (v8_api::Profile* profile = api->stop(profiler_, title_)) api->destroy(profile);
  api->dispose(profiler_);
  api->disposeGlobal(title_);
  profiler_ = nullptr;
  title_ = nullptr;
  sample_count_ = 0;
  places_.reset();
  asks_.clear();
}

bool LineFinder::isWanted(const CodePlace& place) noexcept {
  const uint8_t* asks = asks_.find({place}, kGeneration);
  return !asks || *asks < kMostAsks;
}

// V8 looks for the frame by which JavaScript was left without a doubt that there is one.
bool LineFinder::canSample(const StackWalker& frames) const noexcept {
  const v8_api::ProfilerApi* api = v8_api::profilerApi();
  if (v8_api::wordOf(isolate_, api->exit_frame_offset) == 0) return false;
  if (v8_api::wordOf(isolate_, api->fast_call_offset) != 0) return false;
  for (unsigned i = 0; i < frames.count(); i++)
    if (v8_api::isInCreate(*api, frames.frame(i).pc)) return false;
  return true;
}

void LineFinder::end(const StackWalker& frames) noexcept {
  const uint32_t from = sampledPlaces();
  if (!isOn() || place_end_ <= from) return;
  const CodePlace* first = places_->all + from;
  const CodePlace* last = places_->all + place_end_;
  if (std::none_of(first, last, [this](const CodePlace& one) { return isWanted(one); })) return;
  const uint32_t count = sample_count_.load(std::memory_order_relaxed);
  if (place_end_ >= kMostPlaces || count == kMostSamples || !canSample(frames)) {
    missed_.fetch_add(1, std::memory_order_relaxed);
    return;
  }
  for (const CodePlace* place = first; place != last; place++) {
    uint8_t* asks = asks_.find({*place}, kGeneration);
    if (!asks)
      asks_.put({*place}, kGeneration, 1 | kIsPending);
    else if (*asks < kMostAsks)
      *asks = static_cast<uint8_t>(*asks + 1) | kIsPending;
  }
  Sample& sample = places_->samples[count];
  sample.places_end = place_end_;
  sample.from_us = nowUs();
  v8_api::profilerApi()->collectSample(isolate_, {0, false});
  sample.to_us = nowUs();
  sample_count_.store(count + 1, std::memory_order_release);
}

// V8's samples by their time, which is not the order that it has them in.
class LineFinder::Answers {
 public:
  Answers(const v8_api::ProfilerApi& api, const v8_api::Profile* profile)
      : api_(api), profile_(profile), lines_(api, profile) {
    const int count = profile ? api.sampleCount(profile) : 0;
    for (int i = 0; i < count; i++) all_.emplace_back(api.sampleTimeUs(profile, i), i);
    std::sort(all_.begin(), all_.end());
  }
  // No node when there is none, or when V8 took one for itself at that moment, too: nobody knows
  // then which is ours.
  Leaf between(int64_t from_us, int64_t to_us) const {
    const auto isBefore = [](const auto& one, int64_t time_us) { return one.first < time_us; };
    const auto first = std::lower_bound(all_.begin(), all_.end(), from_us, isBefore);
    const bool is_one = first != all_.end() && first->first <= to_us &&
                        (first + 1 == all_.end() || first[1].first > to_us);
    if (!is_one) return {nullptr, 0};
    return {api_.sample(profile_, first->second), lines_.line(first->second)};
  }

 private:
  const v8_api::ProfilerApi& api_;
  const v8_api::Profile* profile_;
  SampleLines lines_;
  std::vector<std::pair<int64_t, int>> all_;
};

// One sample as V8 tells it, and the places that it is of.
class LineFinder::Answer {
 public:
  Answer(const v8_api::ProfilerApi& api, const Leaf& leaf) : leaf_line_(leaf.line) {
    for (const auto* at = leaf.node; at && api.parent(at); at = api.parent(at))
      nodes_.push_back({api.functionName(at), api.scriptName(at),
                        static_cast<uint32_t>(std::max(api.callerLine(at), 0))});
    std::reverse(nodes_.begin(), nodes_.end());
  }

  // The nodes of `names`, which are functions from the outermost on; false when they are not all
  // there. A function that was compiled into another can have the name of one of them, so only
  // what is at the same node from both ends is known: the others are kUnplaced.
  bool match(const std::vector<FunctionName>& names) {
    at_.assign(names.size(), kUnplaced);
    size_t node = 0;
    for (size_t i = 0; i < names.size(); i++, node++) {
      while (node < nodes_.size() && !isOf(nodes_[node], names[i])) node++;
      if (node == nodes_.size()) return false;
      at_[i] = node;
    }
    node = nodes_.size();
    for (size_t i = names.size(); i-- > 0;) {
      do node--;
      while (!isOf(nodes_[node], names[i]));
      if (at_[i] != node) at_[i] = kUnplaced;
    }
    return true;
  }
  // The lines of the `i`th; empty when they are not known.
  std::vector<PlaceLine> lines(size_t i) const {
    if (at_[i] == kUnplaced) return {};
    const bool is_last = i + 1 == at_.size();
    const size_t end = is_last ? nodes_.size() : at_[i + 1];
    if (end == kUnplaced) return {};
    std::vector<PlaceLine> lines = {{lineOf(at_[i]), {}, {}}};
    for (size_t node = at_[i] + 1; node < end; node++)
      // What has no script is no function of JavaScript: a native one that was called.
      if (*nodes_[node].script != '\0' && lines.size() < kMostPlaceLines)
        lines.push_back({lineOf(node), nodes_[node].function, nodes_[node].script});
    return lines;
  }

 private:
  static constexpr size_t kUnplaced = std::numeric_limits<size_t>::max();

  struct Node {
    const char* function;
    const char* script;
    uint32_t caller_line;
  };
  static bool isOf(const Node& node, const FunctionName& name) {
    return name.function == node.function && name.file == node.script;
  }
  // Where a function is stands at the one that it called.
  uint32_t lineOf(size_t node) const {
    return node + 1 < nodes_.size() ? nodes_[node + 1].caller_line : leaf_line_;
  }

  const uint32_t leaf_line_;
  std::vector<Node> nodes_;
  std::vector<size_t> at_;
};

std::string LineFinder::recordsOf(const Leaf& leaf, PlaceRange range, CodeTable& code) {
  std::string records;
  Answer answer(*v8_api::profilerApi(), leaf);
  std::vector<FunctionName> names;
  std::vector<CodePlace> places;
  for (uint32_t i = range.begin; i < range.end; i++) {
    places.push_back(places_->all[i]);
    names.push_back(code.nameOf(places.back().code));
  }
  if (!answer.match(names)) {
    missed_.fetch_add(1, std::memory_order_relaxed);
    return records;
  }
  for (size_t i = 0; i < places.size(); i++) {
    uint8_t* asks = asks_.find({places[i]}, kGeneration);
    if (asks && *asks == kTold) continue;
    PlaceLines found = {places[i].code, places[i].offset, answer.lines(i)};
    if (found.lines.empty()) continue;
    // V8 has the callee's own line where it does not know the caller's.
    if (found.lines[0].line < names[i].line) found.lines[0].line = 0;
    if (found.lines.size() == 1 && found.lines[0].line == 0) continue;
    putPlaceLines(found, records);
    if (asks) *asks = kTold;
  }
  return records;
}

std::string LineFinder::take(CodeTable& code) {
  std::string records;
  if (!isOn() || !hasSamples()) return records;
  const v8_api::ProfilerApi* api = v8_api::profilerApi();
  v8_api::Profile* profile = api->stop(profiler_, title_);
  const uint32_t count = sample_count_.load(std::memory_order_relaxed);
  Answers answers(*api, profile);
  for (uint32_t i = 0; i < sampledPlaces(); i++) {
    uint8_t* asks = asks_.find({places_->all[i]}, kGeneration);
    if (asks && *asks != kTold) *asks &= static_cast<uint8_t>(~kIsPending);
  }
  uint32_t place = 0;
  for (uint32_t i = 0; i < count; i++) {
    const Sample& sample = places_->samples[i];
    const PlaceRange range = {place, sample.places_end};
    place = sample.places_end;
    const Leaf leaf = answers.between(sample.from_us, sample.to_us);
    if (leaf.node)
      records += recordsOf(leaf, range, code);
    else
      missed_.fetch_add(1, std::memory_order_relaxed);
  }
  if (profile) api->destroy(profile);
  sample_count_.store(0, std::memory_order_release);
  startProfile();
  return records;
}

}  // namespace memdrift
