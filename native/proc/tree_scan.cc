// SPDX-License-Identifier: MIT
#include "proc/tree_scan.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "errors.h"
#include "proc/read_file.h"
#include "proc/scan.h"

namespace memdrift {

namespace {

constexpr size_t kListBytes = 32 * 1024;
constexpr size_t kStatBytes = 1024;  // 52 numbers and a name of 15 bytes, up to 63 in a worker's
constexpr size_t kMostEnvironmentBytes = 4 * 1024 * 1024;
constexpr pid_t kInit = 1;
constexpr uint64_t kReservedPids = 300;  // below them none is given out a second time

// What getdents64 fills in; glibc declares the system call, and this, since 2.30 only.
struct ListEntry {
  uint64_t inode;
  int64_t offset;
  uint16_t size;
  uint8_t type;
  char name[1];
};

uint64_t mostPids() {
  std::string text;
  FILE* file = fopen("/proc/sys/kernel/pid_max", "re");
  if (file == nullptr) return 0;
  char digits[32] = {};
  const size_t length = fread(digits, 1, sizeof digits - 1, file);
  fclose(file);
  uint64_t most = 0;
  Scanner(std::string_view(digits, length)).decimal(most);
  return most;
}

ssize_t readAgain(int fd, char* buffer, size_t size) {
  ssize_t got;
  do {
    got = read(fd, buffer, size);
  } while (got < 0 && errno == EINTR);
  return got;
}

}  // namespace

TreeScan::TreeScan(std::string mark) : mark_(std::move(mark)) {
  proc_fd_ = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (proc_fd_ < 0) throw Error::fromErrno("open", "/proc");
  loadavg_fd_ = open("/proc/loadavg", O_RDONLY | O_CLOEXEC);
}

TreeScan::~TreeScan() {
  close(proc_fd_);
  if (loadavg_fd_ >= 0) close(loadavg_fd_);
}

void TreeScan::addRoot(pid_t root) {
  seen_.clear();
  again_ = true;
  ours_.insert(root);
  ancestors_.insert(kInit);
  StatLine line;
  // A hundred: parents cannot go round in circles, but they may change while they are read.
  for (int i = 0; i < 100 && root > kInit && readStatLine(root, line); i++) {
    root = line.parent_pid;
    ancestors_.insert(root);
  }
}

std::optional<uint64_t> TreeScan::unseenPids() const {
  if (!last_pid_ || pids_lost_) return {};
  return pids_given_ > pids_seen_ ? pids_given_ - pids_seen_ : 0;
}

void TreeScan::countPids(uint64_t last_pid) {
  if (last_pid_ && last_pid < *last_pid_) {
    const uint64_t most = mostPids();
    if (most > *last_pid_)
      pids_given_ += most - *last_pid_ + last_pid - std::min(last_pid, kReservedPids);
    else
      pids_lost_ = true;
  } else if (last_pid_) {
    pids_given_ += last_pid - *last_pid_;
  }
  last_pid_ = last_pid;
}

// The last number in loadavg is the pid that was given out last, to a process or to a thread.
bool TreeScan::somethingWasMade() {
  char text[128];
  const ssize_t got = loadavg_fd_ < 0 ? -1 : pread(loadavg_fd_, text, sizeof text, 0);
  if (got <= 0) return true;
  std::string_view line(text, static_cast<size_t>(got));
  if (line.ends_with('\n')) line.remove_suffix(1);
  uint64_t last_pid;
  if (!Scanner(line.substr(line.rfind(' ') + 1)).decimal(last_pid)) return true;
  const bool made = last_pid_ != last_pid;
  countPids(last_pid);
  return made;
}

std::vector<pid_t> TreeScan::listUnknown() {
  std::vector<pid_t> unknown;
  std::unordered_map<pid_t, uint64_t> present;
  present.reserve(seen_.size() + 64);
  alignas(ListEntry) char list[kListBytes];
  lseek(proc_fd_, 0, SEEK_SET);
  while (true) {
    const long got = syscall(SYS_getdents64, proc_fd_, list, sizeof list);
    if (got < 0) throw Error::fromErrno("list", "/proc");
    if (got == 0) break;
    for (long at = 0; at < got;) {
      const auto* entry = reinterpret_cast<const ListEntry*>(list + at);
      at += entry->size;
      uint64_t pid;
      if (!Scanner(entry->name).decimal(pid)) continue;
      const auto number = static_cast<pid_t>(pid);
      const auto before = seen_.find(number);
      if (before != seen_.end() && before->second == entry->inode)
        present.insert(*before);
      else
        unknown.push_back(number), present.emplace(number, entry->inode);
    }
  }
  seen_ = std::move(present);
  return unknown;
}

bool TreeScan::readStatLine(pid_t pid, StatLine& line) const {
  char path[32], text[kStatBytes];
  snprintf(path, sizeof path, "%d/stat", pid);
  const int fd = openat(proc_fd_, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  const ssize_t got = readAgain(fd, text, sizeof text);
  close(fd);
  if (got <= 0) return false;
  try {
    line = parseStatLine({text, static_cast<size_t>(got)});
  } catch (const Error&) {
    return false;
  }
  return true;
}

std::vector<StatLine> TreeScan::readUnknown(const std::vector<pid_t>& pids) {
  std::vector<StatLine> lines;
  for (const pid_t pid : pids) {
    StatLine line;
    if (readStatLine(pid, line))
      lines.push_back(std::move(line));
    else
      seen_.erase(pid);
  }
  return lines;
}

bool TreeScan::hasMark(pid_t pid) const {
  char path[32];
  snprintf(path, sizeof path, "%d/environ", pid);
  const int fd = openat(proc_fd_, path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  std::string text(1, '\0');
  char piece[8192];
  ssize_t got;
  while (text.size() < kMostEnvironmentBytes && (got = readAgain(fd, piece, sizeof piece)) > 0)
    text.append(piece, static_cast<size_t>(got));
  close(fd);
  return text.find('\0' + mark_ + '\0') != text.npos;
}

// Its parent ended before a look saw it, and it was given to an ancestor of the tree. It is ours if
// it is in a group or session that one of ours began, or if it has our mark.
bool TreeScan::isOrphanOfOurs(const StatLine& line) const {
  if (!ancestors_.contains(line.parent_pid)) return false;
  if (ours_.contains(line.process_group) || ours_.contains(line.session)) return true;
  return !mark_.empty() && hasMark(line.pid);
}

std::vector<StatLine> TreeScan::find(const std::vector<pid_t>& members) {
  if (!somethingWasMade() && !again_) return {};
  const bool first = seen_.empty();
  again_ = false;
  const std::vector<pid_t> unknown = listUnknown();
  if (!first) pids_seen_ += unknown.size();
  std::vector<StatLine> lines = readUnknown(unknown);
  std::unordered_set<pid_t> tree(members.begin(), members.end());
  std::erase_if(lines, [&tree](const StatLine& line) { return tree.contains(line.pid); });
  std::unordered_multimap<pid_t, size_t> children;
  for (size_t i = 0; i < lines.size(); i++) children.emplace(lines[i].parent_pid, i);
  std::vector<StatLine> found;
  const auto take = [&](size_t i) {
    if (tree.insert(lines[i].pid).second) found.push_back(lines[i]);
  };
  for (size_t i = 0; i < lines.size(); i++)
    if (tree.contains(lines[i].parent_pid) || isOrphanOfOurs(lines[i])) take(i);
  for (size_t i = 0; i < found.size(); i++) {
    const auto [from, to] = children.equal_range(found[i].pid);
    for (auto child = from; child != to; ++child) take(child->second);
  }
  for (const StatLine& line : found) ours_.insert(line.pid);
  std::unordered_set<pid_t> retried;
  for (const StatLine& line : lines) {
    // Its parent ended while these were read: the next look asks again who has it now. Once, since
    // /proc may hide parents of other users for good.
    const bool settled = tree.contains(line.pid) || line.parent_pid == 0 ||
                         seen_.contains(line.parent_pid) || retried_.contains(line.pid);
    if (!settled) retried.insert(line.pid), seen_.erase(line.pid), again_ = true;
  }
  retried_ = std::move(retried);
  return found;
}

}  // namespace memdrift
