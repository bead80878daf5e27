// SPDX-License-Identifier: MIT
// Peaks of the tracked process's descendants, most of all programs without a capture of their own,
// such as a bundler's service or a shell.
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
  std::string name;       // of the process; empty: unchanged since last written
  std::string arguments;  // each ends with a NUL
};

// Lists descendants. For the writer's thread only, and only before a filter of system calls, since
// it opens files.
class OwnChildren {
 public:
  explicit OwnChildren(bool has_arguments);

  // Reads all children, at about 10 us for each thread of this process and for each child. Returns
  // new children and those whose peak or name changed. An entry with pid 0 has the highest peak of
  // children that ended and were waited for, which the kernel keeps.
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
  pid_t own_pid_;  // in /proc
  std::string own_program_;
  uint64_t ended_peak_bytes_ = 0;
  uint64_t time_ns_ = 0;
  std::string text_;  // of the last status
  std::map<pid_t, Known> known_;
  std::vector<OwnChild> changed_;
};

}  // namespace memdrift
