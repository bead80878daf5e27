// SPDX-License-Identifier: MIT
// Exact lines and inlined functions of the places in JavaScript that stacks go through, for those
// who ask for them. V8 tells them by a sample of its profiler, which is taken in the hook, once for
// every place that is new, and read when the isolate next runs JavaScript.
//
// A sample takes from the heap, and a lock: what no other hook does. That is safe where V8 says
// how it was left (canSample), and the reason why lines have to be asked for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "analysis/code_names.h"
#include "tracker/code_table.h"
#include "tracker/page_table.h"
#include "tracker/stack_walk.h"
#include "tracker/v8_profiler.h"

namespace memdrift {

// Of one isolate. All on the isolate's thread, but for hasSamples().
class LineFinder {
 public:
  // Inside of a call from JavaScript, on the stack `stack`; anew if it is on. False: lines cannot
  // be told on this version of Node.
  bool start(v8_api::Isolate* isolate, const StackBounds& stack);
  void stop();
  bool isOn() const noexcept { return profiler_ != nullptr; }

  // In hooks: a stack's places, from the outermost on; end() has V8 sample them if one is new.
  void begin() noexcept { place_end_ = isOn() ? sampledPlaces() : kMostPlaces; }
  void add(const CodePlace& place) noexcept {
    if (place.is_function && place_end_ < kMostPlaces) places_->all[place_end_++] = place;
  }
  void end(const StackWalker& frames) noexcept;

  // True when there is something to take.
  bool hasSamples() const noexcept { return sample_count_.load(std::memory_order_acquire) != 0; }
  // Records of a lines frame for what was sampled since. Not in hooks.
  std::string take(CodeTable& code);

  // Stacks whose lines could not be asked for, or were not found in the answer.
  uint64_t missed() const noexcept { return missed_.load(std::memory_order_relaxed); }

 private:
  static constexpr uint32_t kMostPlaces = 32768;
  static constexpr uint32_t kMostSamples = 2048;
  static constexpr uint32_t kGeneration = 1;

  struct PlaceKey {
    CodePlace place;
    bool operator==(const PlaceKey& other) const noexcept {
      return place.code == other.place.code && place.offset == other.place.offset;
    }
    uint64_t hash() const noexcept {
      const uint64_t both = static_cast<uint64_t>(place.code) << 32 | place.offset;
      return (both * 0x9e3779b97f4a7c15U) >> 24;
    }
  };
  struct Sample {
    uint32_t places_end;  // behind its last one
    int64_t from_us;
    int64_t to_us;
  };
  struct Places {
    CodePlace all[kMostPlaces];
    Sample samples[kMostSamples];
  };
  // A place in the innermost function has no line while that calls nothing that V8 has a name for,
  // as when it is being compiled: it may have one at another allocation. Not for ever.
  static constexpr uint8_t kMostAsks = 8;
  static constexpr uint8_t kIsPending = 0x40;  // not asked for again before the answer
  static constexpr uint8_t kTold = UINT8_MAX;
  struct PlaceRange {
    uint32_t begin;
    uint32_t end;
  };
  // The innermost function of a sample, and where it was.
  struct Leaf {
    const v8_api::ProfileNode* node;
    uint32_t line;
  };
  class Answer;
  class Answers;

  uint32_t sampledPlaces() const noexcept {
    const uint32_t count = sample_count_.load(std::memory_order_relaxed);
    return count == 0 ? 0 : places_->samples[count - 1].places_end;
  }
  bool isWanted(const CodePlace& place) noexcept;
  std::string recordsOf(const Leaf& leaf, PlaceRange range, CodeTable& code);
  bool canSample(const StackWalker& frames) const noexcept;
  void startProfile();

  v8_api::Isolate* isolate_ = nullptr;
  v8_api::Profiler* profiler_ = nullptr;
  v8_api::Slot title_ = nullptr;
  std::unique_ptr<Places> places_;
  uint32_t place_end_ = kMostPlaces;  // of the stack that is being added; kMostPlaces: of none
  std::atomic<uint32_t> sample_count_{0};
  std::atomic<uint64_t> missed_{0};
  PageTable<PlaceKey, uint8_t> asks_;  // of places, or kTold
};

}  // namespace memdrift
