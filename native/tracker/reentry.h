// SPDX-License-Identifier: MIT
// Whether this thread is inside of the tracker: what it allocates then is its own, and not told.
#pragma once

#include <cstdint>

namespace memdrift {

struct ThreadTracking;

// Of each thread. Initial-exec: reached without a call, and without the heap that the first use of
// other kinds of thread-local memory takes.
struct ThreadMarks {
  bool is_inside;
  ThreadTracking* tracking;
  int64_t until_sample;  // bytes, while samples are taken
};
extern __thread ThreadMarks t_marks __attribute__((tls_model("initial-exec")));

// Hooks on this thread pass everything through while it lives.
class NoReentry {
 public:
  NoReentry() noexcept : before_(t_marks.is_inside) { t_marks.is_inside = true; }
  ~NoReentry() { t_marks.is_inside = before_; }
  NoReentry(const NoReentry&) = delete;
  NoReentry& operator=(const NoReentry&) = delete;

 private:
  bool before_;
};

}  // namespace memdrift
