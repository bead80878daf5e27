// SPDX-License-Identifier: MIT
// Peaks of the processes that the tracked one started, and that those started: programs without a
// capture of their own, such as a bundler's service or a shell.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "capture/format.h"

namespace memdrift {

struct OwnChild {
  ChildPayload fixed;
  std::string name;       // of the process; empty: as it was last written
  std::string arguments;  // each ends with a NUL
};

// On the writer's thread only, and until a filter of system calls comes: files are opened.
class OwnChildren {
 public:
  explicit OwnChildren(bool has_arguments);

  // Looks at all of them: some ten us for each thread of this process and for each child. Returns
  // those that are new, or whose peak or name changed. An entry without a pid has the highest peak
  // of children that ended and were waited for, which the kernel keeps.
  std::vector<OwnChild> look(uint64_t time_ns);

 private:
  struct Known {
    uint64_t peak_rss_bytes = 0;
    std::string name;
    bool is_node = false;
    bool is_seen = false;  // in this look
  };

  void addChildrenOf(pid_t pid, int depth);
  void addChild(pid_t pid, pid_t parent, int depth);
  void addEnded();

  bool has_arguments_;
  pid_t own_pid_;  // as /proc has it
  std::string own_program_;
  uint64_t ended_peak_bytes_ = 0;
  uint64_t time_ns_ = 0;
  std::string text_;  // of the last status
  std::map<pid_t, Known> known_;
  std::vector<OwnChild> changed_;
};

}  // namespace memdrift
