// SPDX-License-Identifier: MIT
// Finds the processes that descend from those that are followed, at a cost that a tick can bear:
// nothing is listed unless a pid was given out since, and only what was not there before is read.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proc/counters.h"

namespace memdrift {

class TreeScan {
 public:
  // `mark` is NAME=value, which a process of the tree has in its environment, or empty: it tells
  // those that lost their parent before anybody saw it. Throws ERR_UNSUPPORTED without /proc.
  explicit TreeScan(std::string mark);
  ~TreeScan();
  TreeScan(const TreeScan&) = delete;
  TreeScan& operator=(const TreeScan&) = delete;

  // Forgets what was seen to be of no concern: there is a root more.
  void addRoot(pid_t root);
  // What is new in the tree of `members`, parents first. Some may be zombies, or end before they
  // are looked at again.
  std::vector<StatLine> find(const std::vector<pid_t>& members);

  // Pids that were given out since the beginning and never seen in a list: processes that ended
  // between two looks, of whomever, and all threads. Without a value too many may have been.
  std::optional<uint64_t> unseenPids() const;

 private:
  bool somethingWasMade();
  std::vector<pid_t> listUnknown();
  std::vector<StatLine> readUnknown(const std::vector<pid_t>& pids);
  bool isOrphanOfOurs(const StatLine& line) const;
  bool hasMark(pid_t pid) const;
  bool readStatLine(pid_t pid, StatLine& line) const;
  void countPids(uint64_t last_pid);

  std::string mark_;
  int proc_fd_ = -1;
  int loadavg_fd_ = -1;
  bool again_ = true;
  std::optional<uint64_t> last_pid_;
  uint64_t pids_given_ = 0, pids_seen_ = 0;
  bool pids_lost_ = false;
  // By pid: the inode of /proc/PID, which another process with that number does not get.
  std::unordered_map<pid_t, uint64_t> seen_;
  std::unordered_set<pid_t> ancestors_;  // of the roots: whom orphans are given to
  std::unordered_set<pid_t> ours_;       // every pid that was ever of the tree
  std::unordered_set<pid_t> retried_;    // whose parent was not there at the last look
};

}  // namespace memdrift
