// SPDX-License-Identifier: MIT
#include "tracker/stack_walk.h"

#include <emmintrin.h>

#include <algorithm>
#include <bit>

#include "objects/relocation_state.h"

namespace memdrift {

namespace {

// A stack's key is a polynomial: the innermost frame's number, plus kFactor times the key of the
// frames around it. So it can be summed from both ends.
constexpr uint64_t kFactor = 0xd1342543de82ef95U;
constexpr uint64_t kMultiplier = 0x9e3779b97f4a7c15U;

inline uint64_t numberOf(uintptr_t pc, uintptr_t bytecode) noexcept {
  const uint64_t mixed = (pc ^ std::rotl(bytecode, 23)) * kMultiplier;
  return mixed ^ mixed >> 29;
}

inline uint64_t finished(uint64_t key) noexcept {
  key ^= key >> 31;
  key *= kMultiplier;
  return (key ^ key >> 28) | 1;
}

inline uintptr_t wordAt(uintptr_t at) noexcept { return *reinterpret_cast<const uintptr_t*>(at); }
inline const uintptr_t* wordsAt(uintptr_t at) noexcept {
  return reinterpret_cast<const uintptr_t*>(at);
}

// Addresses below are no code: a walk that comes there has reached the outermost frame.
constexpr uintptr_t kLowestCode = 4096;

// A walk over more new frames than these is worth to be noted now and then.
constexpr unsigned kManyNewFrames = 6;
constexpr unsigned kWalksPerNote = 32;

}  // namespace

void RuleCache::fill(Entry& entry, uintptr_t pc, const ModuleTable& modules) noexcept {
  entry.pc = pc;
  if (const Module* module = modules.find(pc)) {
    FrameBytes bytes(module->frames.get());
    entry.rule = frameRule(bytes, module->eh_frame_hdr, pc);
    // A linker may put the tables into another segment than the header's.
    if (!bytes.hasFailed() || !module->frames) return;
    FrameBytes by_kernel(nullptr);
    entry.rule = frameRule(by_kernel, module->eh_frame_hdr, pc);
    return;
  }
  entry.rule = {};
  FoundObject found;
  if (!findObject(pc, found)) return;
  // The object was loaded a moment ago, and no pass has seen it yet. The rule is not kept, since
  // another object may be at this address before the table has this one.
  FrameBytes bytes(nullptr);
  entry.rule = frameRule(bytes, found.eh_frame_hdr, pc);
  entry.pc = 0;
}

// From a function to the one that called it.
struct StackWalker::Step {
  const WalkContext& context;
  const Range executable = context.executable;
  const Range v8_range = context.v8.range;
  const uintptr_t end;
  uintptr_t pc;
  uintptr_t sp;
  uintptr_t rbp;
  uintptr_t bytecode = 0;

  // The first: of the function that asks, which has a frame pointer.
  [[gnu::no_sanitize_address]] Step(const WalkContext& from, uintptr_t stack_end,
                                    uintptr_t frame) noexcept
      : context(from), end(stack_end), pc(wordAt(frame + 8)), sp(frame + 16), rbp(wordAt(frame)) {}

  // Node's code and V8's have frame pointers. Null: this one has.
  const FrameRule* rule() const noexcept {
    if (executable.contains(pc) || v8_range.contains(pc)) [[likely]]
      return nullptr;
    const FrameRule& found = context.rules.get(pc, context.modules);
    return found.kind == FrameRule::Kind::frame_pointer ? nullptr : &found;
  }
  // False at the outermost function, or where the stack makes no sense.
  [[gnu::no_sanitize_address]] bool take() noexcept {
    if (const FrameRule* by = rule()) [[unlikely]]
      return takeBy(*by);
    if (rbp < sp || rbp > end - 16 || (rbp & 7) != 0) return false;
    pc = wordAt(rbp + 8);
    sp = rbp + 16;
    rbp = wordAt(rbp);
    readBytecode();
    return pc >= kLowestCode;
  }
  [[gnu::no_sanitize_address]] bool takeBy(const FrameRule& by) noexcept {
    if (by.kind == FrameRule::Kind::end) return false;
    const uintptr_t base = by.kind == FrameRule::Kind::stack_pointer ? sp : rbp;
    const uintptr_t cfa = base + static_cast<uintptr_t>(static_cast<intptr_t>(by.cfa_offset));
    if (cfa <= sp || cfa > end || (cfa & 7) != 0) return false;
    if (by.saves_rbp) {
      const uintptr_t at = savedRbp(by, cfa);
      if (at < sp || at >= cfa) return false;
      rbp = wordAt(at);
    }
    pc = wordAt(cfa - 8);
    sp = cfa;
    readBytecode();
    return pc >= kLowestCode;
  }
  static uintptr_t savedRbp(const FrameRule& by, uintptr_t cfa) noexcept {
    return cfa + static_cast<uintptr_t>(static_cast<intptr_t>(by.rbp_offset));
  }
  [[gnu::no_sanitize_address]] void readBytecode() noexcept {
    bytecode = hasBytecode() ? bytecodePc(wordsAt(rbp)) : 0;
  }
  bool hasBytecode() const noexcept {
    return context.v8.interpreter.contains(pc) && rbp >= sp + 40 && rbp < end && (rbp & 7) == 0;
  }
};

// All bits: the words are as they were.
[[gnu::no_sanitize_address]] inline __m128i StackWalker::compare(const Words& known) noexcept {
  const __m128i now = _mm_loadu_si128(reinterpret_cast<const __m128i*>(known.at));
  const __m128i then = _mm_load_si128(reinterpret_cast<const __m128i*>(&known.lower));
  const __m128i ignored = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(&known.ignored));
  return _mm_or_si128(_mm_cmpeq_epi32(now, then), ignored);
}

// How many of the oldest frames are as they were.
unsigned StackWalker::stillThere() const noexcept {
  uint32_t words = 0;
  // Four at a time: none waits for another's answer.
  for (; words + 4 <= word_count_; words += 4) {
    const Words* four = words_ + words;
    const __m128i all = _mm_and_si128(_mm_and_si128(compare(four[0]), compare(four[1])),
                                      _mm_and_si128(compare(four[2]), compare(four[3])));
    if (_mm_movemask_epi8(all) != 0xffff) break;
  }
  while (words < word_count_ && _mm_movemask_epi8(compare(words_[words])) == 0xffff) words++;
  if (words == word_count_) return count_;
  unsigned frames = count_;
  while (frames > 0 && frames_[frames - 1].words_end > words) frames--;
  return frames;
}

uint64_t StackWalker::walk(const void* frame, const StackBounds& bounds,
                           const WalkContext& context) noexcept {
  const auto own = reinterpret_cast<uintptr_t>(frame);
  // A stack of its own, as for signals: nothing is known of where it ends.
  if (own < bounds.low || own > bounds.end - 16) return 0;
  count_ = stillThere();
  word_count_ = count_ == 0 ? 0 : frames_[count_ - 1].words_end;
  // The newest noted frame, which the walk may meet: slots go up with age.
  const WalkedFrame* older = frames_ + count_;
  uintptr_t older_slot = count_ == 0 ? UINTPTR_MAX : older[-1].slot;
  uint64_t key = 0;
  uint64_t factor = 1;
  unsigned walked = 0;
  Step step(context, bounds.end, own);
  for (bool goes_on = step.pc >= kLowestCode; goes_on && walked < kMaxFrames; walked++) {
    if (step.sp - 8 >= older_slot) [[unlikely]] {
      while (older != frames_ && older[-1].slot < step.sp - 8) older--;
      older_slot = older == frames_ ? UINTPTR_MAX : older[-1].slot;
      if (older_slot == step.sp - 8 && older[-1].pc == step.pc && older[-1].rbp == step.rbp) {
        key += factor * older[-1].key;
        break;
      }
    }
    key += factor * numberOf(step.pc, step.bytecode);
    factor *= kFactor;
    goes_on = step.take();
  }
  key = finished(key);
  const bool is_again = key == last_key_ && walked > 0;
  const bool is_due = walked > kManyNewFrames && ++walks_since_note_ >= kWalksPerNote;
  last_key_ = key;
  if (is_again || is_due) note(frame, bounds, context);
  return key;
}

[[gnu::no_sanitize_address]] void StackWalker::note(const void* frame, const StackBounds& bounds,
                                                    const WalkContext& context) noexcept {
  walks_since_note_ = 0;
  forget();
  is_cut_ = false;
  const auto own = reinterpret_cast<uintptr_t>(frame);
  if (own < bounds.low || own > bounds.end - 16) return;
  unsigned count = 0;
  Step step(context, bounds.end, own);
  Words link = {wordsAt(own), 0, step.rbp, step.pc};
  Words saved = {};
  bool goes_on = step.pc >= kLowestCode;
  unsigned words = 0;
  while (goes_on && count < kMaxFrames) {
    WalkedFrame& at = frames_[count++];
    at = {step.pc, step.bytecode, step.sp - 8, step.rbp, 0, 0};
    words_[words++] = link;
    if (saved.at) words_[words++] = saved;
    if (step.hasBytecode()) {
      static_assert(kBytecodeOffsetSlot == kBytecodeArraySlot - 1);
      const uintptr_t* rbp = wordsAt(step.rbp);
      words_[words++] = {rbp + kBytecodeOffsetSlot, 0, rbp[kBytecodeOffsetSlot],
                         rbp[kBytecodeArraySlot]};
    }
    at.words_end = words;
    const FrameRule* rule = step.rule();
    const uintptr_t rbp_before = step.rbp;
    goes_on = step.take();
    saved = {};
    if (!rule) {
      link = {wordsAt(rbp_before), 0, step.rbp, step.pc};
    } else {
      link = {wordsAt(step.sp - 16), UINTPTR_MAX, 0, step.pc};
      if (rule->saves_rbp)
        saved = {wordsAt(Step::savedRbp(*rule, step.sp) - 8), UINTPTR_MAX, 0, step.rbp};
    }
  }
  is_cut_ = goes_on;
  count_ = count;
  word_count_ = words;
  turnAround();
}

// Frames are found from within, and kept from without.
void StackWalker::turnAround() noexcept {
  std::reverse(frames_, frames_ + count_);
  std::reverse(words_, words_ + word_count_);
  uint64_t key = 0;
  for (unsigned i = 0; i < count_; i++) {
    WalkedFrame& one = frames_[i];
    key = numberOf(one.pc, one.bytecode) + kFactor * key;
    one.key = key;
    // Its words ended where those of the next inner frame began.
    one.words_end = word_count_ - (i + 1 < count_ ? frames_[i + 1].words_end : 0);
  }
}

}  // namespace memdrift
