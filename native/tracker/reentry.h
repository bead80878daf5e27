// SPDX-License-Identifier: MIT
// Tells whether this thread is inside the tracker: its allocations are then the tracker's and are
// not recorded.
#pragma once

#include <cstdint>

namespace memdrift {

struct ThreadTracking;

// Of each thread. Initial-exec: reached without a call, and without the heap that the first use of
// other kinds of thread-local memory takes.
struct ThreadMarks {
  // Stack address of the outermost guard; 0: the thread is outside. A guard whose place the stack
  // has given up was left by a jump; see Recording.
  uintptr_t inside;
  ThreadTracking* tracking;
  int64_t until_sample;  // bytes, while samples are taken
  uint32_t until_slot;   // records until a thread without ThreadTracking asks for one again
};
extern __thread ThreadMarks t_marks __attribute__((tls_model("initial-exec")));

// `inside` of threads that the tracker itself has started.
inline constexpr uintptr_t kInsideForGood = 1;

inline bool isInside() noexcept { return t_marks.inside != 0; }

[[gnu::always_inline]] inline uintptr_t stackPointer() noexcept {
  uintptr_t here;
  asm("mov %%rsp, %0" : "=r"(here));
  return here;
}

// Hooks on this thread pass everything through while it lives.
class NoReentry {
 public:
  [[gnu::always_inline]] NoReentry() noexcept : before_(t_marks.inside) {
    t_marks.inside = before_ != 0 ? before_ : stackPointer();
  }
  ~NoReentry() { t_marks.inside = before_; }
  NoReentry(const NoReentry&) = delete;
  NoReentry& operator=(const NoReentry&) = delete;

 private:
  uintptr_t before_;
};

}  // namespace memdrift
