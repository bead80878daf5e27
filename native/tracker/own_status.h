// SPDX-License-Identifier: MIT
// The status of this process in /proc, read through one descriptor that stays open: a filter that
// the program installs may end the process when a file is opened.
#pragma once

#include <string>

#include "proc/counters.h"

namespace memdrift {

// Used on one thread: descriptor and filters are that thread's.
class OwnStatus {
 public:
  OwnStatus();
  ~OwnStatus();
  OwnStatus(const OwnStatus&) = delete;
  OwnStatus& operator=(const OwnStatus&) = delete;

  // Reads the counters of this process. Throws ERR_SYSTEM, ERR_MALFORMED.
  Counters read();
  // Returns true when the last read() found a filter of system calls that was installed since
  // construction: only calls that every thread of the program makes are safe then.
  bool isConfined() const noexcept { return filters_ > first_filters_; }

  // Returns the number of filters of this thread now; 0 when it cannot be read. Any thread.
  static unsigned long filtersNow();
  // Returns true when any read() in this process has found such a filter. Makes no system call.
  static bool wasConfined() noexcept;

 private:
  int fd_;
  std::string text_;
  unsigned long filters_ = 0;
  unsigned long first_filters_ = 0;
  bool is_begun_ = false;  // first_filters_ is known
};

}  // namespace memdrift
