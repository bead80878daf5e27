// SPDX-License-Identifier: MIT
#include "tracker/own_children.h"

#include <dirent.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmath>
#include <cstdlib>
#include <string_view>
#include <utility>

#include "errors.h"
#include "proc/counters.h"
#include "proc/read_file.h"

namespace memdrift {

namespace {

// A deeper or larger tree of processes is read up to these limits.
constexpr int kMostDepth = 16;
constexpr size_t kMostChildren = 1 << 16;
constexpr size_t kMostArgumentBytes = 4096;

std::string pathOf(pid_t pid, const char* file) {
  return "/proc/" + std::to_string(pid) + "/" + file;
}

// Returns an empty path for a program that cannot be read, such as another user's.
std::string programOf(pid_t pid) {
  char text[4096];
  const ssize_t size = readlink(pathOf(pid, "exe").c_str(), text, sizeof text);
  return std::string(text, static_cast<size_t>(size < 0 ? 0 : size));
}

bool isNode(std::string_view program) {
  const std::string_view file = program.substr(program.rfind('/') + 1);
  return file == "node" || file == "nodejs";
}

std::string textOf(pid_t pid, const std::string& file) {
  std::string text;
  try {
    readProcFile(pid, file.c_str(), text);
  } catch (const Error&) {
    text.clear();  // it has ended
  }
  return text;
}

}  // namespace

OwnChildren::OwnChildren(bool has_arguments)
    : has_arguments_(has_arguments), own_pid_(ownPidInProc()), own_program_(programOf(own_pid_)) {}

std::vector<OwnChild> OwnChildren::look(uint64_t time_ns) {
  time_ns_ = time_ns;
  changed_.clear();
  for (auto& [pid, child] : known_) child.is_seen = false;
  if (own_pid_ != 0) addChildrenOf(own_pid_, 0);
  // A pid that was unseen once belongs to another process when it returns.
  std::erase_if(known_, [](const auto& one) { return !one.second.is_seen; });
  addEnded();
  return std::move(changed_);
}

// Adds the children of each thread: the kernel lists them by the thread that started them.
void OwnChildren::addChildrenOf(pid_t pid, int depth) {
  const std::string folder = pathOf(pid, "task");
  DIR* threads = opendir(folder.c_str());
  if (!threads) return;
  while (const dirent* entry = readdir(threads)) {
    if (entry->d_name[0] == '.') continue;
    const std::string text = textOf(pid, std::string("task/") + entry->d_name + "/children");
    const char* at = text.c_str();
    for (char* end; const long child = strtol(at, &end, 10); at = end)
      addChild(static_cast<pid_t>(child), pid, depth);
  }
  closedir(threads);
}

void OwnChildren::addChild(pid_t pid, pid_t parent, int depth) {
  if (known_.size() >= kMostChildren && !known_.contains(pid)) return;
  // Read before the counters: after an exec in between, the counters belong to the new program.
  const std::string program = programOf(pid);
  Counters counters;
  try {
    counters = readStatus(pid, text_);
  } catch (const Error&) {
    return;  // it has ended
  }
  const bool is_node = program == own_program_ || isNode(program);
  // A copy of this process, or a Node program, may become another one by exec: its peak is not that
  // one's.
  if (const auto known = known_.find(pid);
      known != known_.end() && known->second.is_node && !is_node)
    known_.erase(known);
  const bool is_new = !known_.contains(pid);
  // It has ended, and its peak is unknown.
  if (is_new && std::isnan(counters.peak_rss_bytes)) return;
  // A child before its exec is still a copy of this process.
  if (is_new && depth == 0 && program == own_program_ && counters.threads == 1) return;
  Known& child = known_[pid];
  if (std::exchange(child.is_seen, true)) return;
  const bool is_renamed = child.name != counters.name;
  child.name = counters.name;
  child.is_node = is_node;
  const uint64_t peak_bytes =
      std::isnan(counters.peak_rss_bytes) ? 0 : static_cast<uint64_t>(counters.peak_rss_bytes);
  if (peak_bytes > child.peak_rss_bytes || is_new || is_renamed) {
    child.peak_rss_bytes = std::max(child.peak_rss_bytes, peak_bytes);
    OwnChild change;
    change.fixed = {time_ns_,
                    child.peak_rss_bytes,
                    static_cast<uint32_t>(pid),
                    static_cast<uint32_t>(parent),
                    child.is_node ? 1U : 0U,
                    is_new ? 1U : 0U,
                    0,
                    0};
    if (is_renamed) change.name = child.name;
    if (is_renamed && has_arguments_)
      change.arguments = textOf(pid, "cmdline").substr(0, kMostArgumentBytes);
    change.fixed.name_bytes = static_cast<uint32_t>(change.name.size());
    change.fixed.argument_bytes = static_cast<uint32_t>(change.arguments.size());
    changed_.push_back(std::move(change));
  }
  // Node programs have captures, with children of their own.
  if (!child.is_node && depth < kMostDepth) addChildrenOf(pid, depth + 1);
}

void OwnChildren::addEnded() {
  rusage usage = {};
  if (getrusage(RUSAGE_CHILDREN, &usage) != 0) return;
  const uint64_t peak_bytes = static_cast<uint64_t>(usage.ru_maxrss) * 1024;
  if (peak_bytes <= ended_peak_bytes_) return;
  ended_peak_bytes_ = peak_bytes;
  changed_.push_back({{time_ns_, peak_bytes, 0, 0, 0, 0, 0, 0}, "", ""});
}

}  // namespace memdrift
