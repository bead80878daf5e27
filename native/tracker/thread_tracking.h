// SPDX-License-Identifier: MIT
// What the tracker keeps for a thread: its stream, and the stacks that it has seen.
#pragma once

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "capture/thread_stream.h"
#include "tracker/isolates.h"
#include "tracker/page_table.h"
#include "tracker/reentry.h"
#include "tracker/sampling.h"
#include "tracker/stack_walk.h"

namespace memdrift {

struct StackKey {
  uint64_t key;
  bool operator==(const StackKey&) const = default;
  uint64_t hash() const noexcept { return key >> 20; }
};
struct KnownStack {
  uint32_t node;
  uint32_t js_check;  // sum of the frames that V8 named, to look whether the key still says so
};

struct NodeKey {
  uint64_t place;
  uint32_t parent;
  uint32_t code;
  bool operator==(const NodeKey&) const = default;
  uint64_t hash() const noexcept {
    const uint64_t above = static_cast<uint64_t>(parent) << 32 ^ static_cast<uint64_t>(code) << 17;
    return ((place ^ above) * 0x9e3779b97f4a7c15U) >> 24;
  }
};

// How often what happened on a thread; the writer adds them up.
#define MEMDRIFT_STACK_COUNTERS(X)                                        \
  X(stacks_new)     /* not in the cache: V8 was asked */                  \
  X(stacks_broken)  /* V8 named functions that the walk did not find */   \
  X(stacks_deep)    /* longer than kMaxFrames */                          \
  X(stacks_checked) /* in the cache, and compared with V8 all the same */ \
  X(stacks_wrong)   /* and were not what V8 said */

struct StackCounters {
#define MEMDRIFT_DECLARE(name) uint64_t name = 0;
  MEMDRIFT_STACK_COUNTERS(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};

// Pages of zeros are a valid one. Its memory is never given back: a hook may hold it at any time.
struct ThreadTracking {
  enum Stage : uint32_t { kOutside, kRecording, kAskingV8 };
  // Set while the thread makes a record; stop waits for kOutside.
  std::atomic<Stage> stage;
  std::atomic<uint32_t> tid;      // 0: free to be taken by a new thread
  std::atomic<uint32_t> session;  // whose stream it has
  ThreadStream* stream;           // null: there was none for it
  StackBounds stack;
  // Held by the thread as long as it lives: the kernel marks it when the thread ends, however it
  // ends, and a look takes no system call.
  pthread_mutex_t life;
  uint32_t left_session;  // whose record a jump left half made; 0: none

  TrackedIsolate* isolate;
  bool has_asked_for_isolate;
  bool isolate_has_ended;
  uint32_t generation;         // that the tables' entries are of
  uint32_t code_generation;    // of the isolate when that was said
  uint32_t module_generation;  // of the modules
  uint32_t until_check;        // stacks until one is compared with V8

  PageTable<StackKey, KnownStack> stacks;
  PageTable<NodeKey, uint32_t> nodes;
  RuleCache rules;
  StackWalker walker;
  uint64_t last_key;
  uint32_t last_node;        // of the stack that the walker found last
  uint32_t last_generation;  // that this is of; 0: it is of no use
  // What is made of them: kept here, since a hook's caller may have a small stack.
  alignas(8) uint8_t scratch[kMaxFrames * 9 + 64];
  StackCounters counters;
  SampleClock clock;

  // What was known of stacks is of no use: addresses may mean something else.
  void renew() noexcept {
    generation++;
    last_generation = 0;
    walker.forget();
  }
};

}  // namespace memdrift
