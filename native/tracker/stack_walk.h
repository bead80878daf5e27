// SPDX-License-Identifier: MIT
// The stack of the calling thread as a list of code addresses and one number that stands for it.
// Runs at every allocation, inside hooks: no heap, no lock.
#pragma once

#include <emmintrin.h>

#include <cstdint>

#include "tracker/frame_rule.h"
#include "tracker/module_table.h"

namespace memdrift {

// Frames beyond these are not seen: the oldest ones of a deep recursion.
inline constexpr unsigned kMaxFrames = 256;

// Rules by pc, so that each is worked out once. Wrong entries are overwritten, never searched.
class RuleCache {
 public:
  static constexpr unsigned kCount = 1024;

  const FrameRule& get(uintptr_t pc, const ModuleTable& modules) noexcept {
    Entry& entry = entries_[(pc * 0x9e3779b97f4a7c15U) >> 54];
    if (entry.pc != pc) [[unlikely]]
      fill(entry, pc, modules);
    return entry.rule;
  }
  // Addresses may mean something else now.
  void clear() noexcept {
    for (Entry& entry : entries_) entry.pc = 0;
  }

 private:
  struct Entry {
    uintptr_t pc;
    FrameRule rule;
  };
  static_assert(kCount == 1U << (64 - 54));

  void fill(Entry& entry, uintptr_t pc, const ModuleTable& modules) noexcept;

  Entry entries_[kCount];
};

// Where V8 keeps what runs in its interpreter: frames there all have the interpreter's own code as
// their address, and which function it is stands in the frame.
struct InterpreterCode {
  Range entry;     // Builtin:InterpreterEntryTrampoline
  Range handlers;  // BytecodeHandler:*

  bool contains(uintptr_t pc) const noexcept { return entry.contains(pc) || handlers.contains(pc); }
};

// Code of one isolate. All of it has frame pointers.
struct V8Code {
  Range range;  // compiled functions, and copies of builtins
  InterpreterCode interpreter;
};

// Of the frame of an interpreted function: words below its rbp.
inline constexpr int kBytecodeArraySlot = -4;
inline constexpr int kBytecodeOffsetSlot = -5;

// The address of the bytecode that an interpreted frame executes, as V8's own profiler has it; 0
// when these words cannot be that.
inline uintptr_t bytecodePc(const uintptr_t* rbp) noexcept {
  const uintptr_t array = rbp[kBytecodeArraySlot];
  const uintptr_t offset = rbp[kBytecodeOffsetSlot];
  const bool is_right = (array & 3) == 1 && (offset & UINT32_MAX) == 0 && offset >> 56 == 0;
  return is_right ? array + (offset >> 32) : 0;
}

// One frame of a walk: what a call returns to.
struct WalkedFrame {
  uintptr_t pc;
  uintptr_t bytecode;  // of an interpreted function where it is, else 0
  uintptr_t slot;      // where on the stack `pc` is kept
  uintptr_t rbp;       // as the function at `pc` has it
  uint64_t key;        // stands for this frame and all older ones
  uint32_t words_end;  // the first word behind those that say what this frame is
};

// Where a walk may go: the part of the stack between the function that asks and its outer end.
struct StackBounds {
  uintptr_t low;  // lower than any frame of this thread's stack
  uintptr_t end;
};

struct WalkContext {
  RuleCache& rules;
  const ModuleTable& modules;
  Range executable;
  const V8Code& v8;
};

// Walks one thread's stack, again and again, for a number that stands for it.
//
// The older frames that an earlier walk noted hold for as long as the words on the stack that say
// so are the same: to compare these takes a fraction of the time that it takes to follow them. So
// only the frames above are walked, which are few at most allocations.
//
// Pages of zeros are a valid one.
class StackWalker {
 public:
  // The key of the stack from the caller of the function whose frame is `frame`, outwards.
  uint64_t walk(const void* frame, const StackBounds& bounds, const WalkContext& context) noexcept;

  // Notes all frames of that stack, for the functions below and for the next walks.
  void note(const void* frame, const StackBounds& bounds, const WalkContext& context) noexcept;
  unsigned count() const noexcept { return count_; }
  // The `i`th from within.
  const WalkedFrame& frame(unsigned i) const noexcept { return frames_[count_ - 1 - i]; }
  // False: there were more frames than fit, and the oldest ones are not there.
  bool isWhole() const noexcept { return !is_cut_; }

  // Addresses mean something else now.
  void forget() noexcept { count_ = word_count_ = 0; }

 private:
  // Two words of the stack as they were. For a single one the lower is not compared.
  struct alignas(16) Words {
    const uintptr_t* at;
    uintptr_t ignored;  // all bits: the lower word; none: neither
    uintptr_t lower;
    uintptr_t upper;
  };
  struct Step;

  static __m128i compare(const Words& known) noexcept;
  unsigned stillThere() const noexcept;
  void turnAround() noexcept;

  uint32_t count_;
  uint32_t word_count_;
  uint32_t walks_since_note_;
  bool is_cut_;
  uint64_t last_key_;
  WalkedFrame frames_[kMaxFrames];  // the oldest first
  Words words_[3 * kMaxFrames];
};

}  // namespace memdrift
