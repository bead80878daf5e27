// SPDX-License-Identifier: MIT
// The status of this process in /proc, read by one descriptor that stays open: a program may forbid
// itself, and so us, to open files by a filter that ends the process.
#pragma once

#include <string>

#include "proc/counters.h"

namespace memdrift {

// On the writer's thread only, whose descriptor and filters it has.
class OwnStatus {
 public:
  OwnStatus();
  ~OwnStatus();
  OwnStatus(const OwnStatus&) = delete;
  OwnStatus& operator=(const OwnStatus&) = delete;

  // Throws ERR_SYSTEM, ERR_MALFORMED.
  Counters read();
  // True once a filter of system calls was installed on the thread since it was made, as far as the
  // last read() said: no call but those that every thread of the program makes is safe then.
  bool isConfined() const noexcept { return filters_ > first_filters_; }

 private:
  int fd_;
  std::string text_;
  unsigned long filters_ = 0;
  unsigned long first_filters_ = 0;
};

}  // namespace memdrift
