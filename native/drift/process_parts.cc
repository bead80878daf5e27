// SPDX-License-Identifier: MIT
#include "drift/process_parts.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <memory>
#include <string>

namespace memdrift {

namespace {

std::string pathOf(pid_t pid, const char* name) {
  return "/proc/" + (pid < 0 ? std::string("self") : std::to_string(pid)) + "/" + name;
}

// Before Linux 6.7: an entry of eight bytes per page.
std::optional<uint64_t> countEntries(int fd, AddressRange range, uint64_t page_bytes) {
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kOfFile = uint64_t{1} << 61;
  std::array<uint64_t, 512> entries;
  uint64_t bytes = 0;
  while (range.start < range.end) {
    const auto wanted = std::min<uint64_t>(entries.size(), (range.end - range.start) / page_bytes);
    const auto offset = static_cast<off_t>(range.start / page_bytes * sizeof(uint64_t));
    const ssize_t size = pread(fd, entries.data(), wanted * sizeof(uint64_t), offset);
    if (size <= 0) return std::nullopt;
    const auto count = static_cast<uint64_t>(size) / sizeof(uint64_t);
    for (uint64_t i = 0; i < count; i++)
      if ((entries[i] & (kPresent | kOfFile)) == kPresent) bytes += page_bytes;
    range.start += count * page_bytes;
  }
  return bytes;
}

std::optional<uint64_t> countPages(int fd, AddressRange range, uint64_t page_bytes) {
  std::array<PageRange, 256> buffer;
  PageScan scan(fd, range);
  uint64_t bytes = 0;
  for (auto found = scan.next(buffer); !found.empty(); found = scan.next(buffer))
    for (const PageRange& pages : found)
      if ((pages.kinds & (kPagePresent | kPageFile | kPageZero)) == kPagePresent)
        bytes += pages.end - pages.start;
  if (scan.result() == ScanResult::kNoIoctl) return countEntries(fd, range, page_bytes);
  if (scan.result() == ScanResult::kFailed) return std::nullopt;
  return bytes;
}

}  // namespace

std::vector<uint64_t> findThreadBlocks(pid_t pid) {
  std::vector<uint64_t> blocks;
  const std::unique_ptr<DIR, int (*)(DIR*)> threads(opendir(pathOf(pid, "task").c_str()), closedir);
  if (!threads) return blocks;
  const pid_t first = pid < 0 ? getpid() : pid;
  while (const dirent* entry = readdir(threads.get())) {
    const pid_t thread = atoi(entry->d_name);
    if (thread <= 0 || thread == first) continue;
    void* head = nullptr;
    size_t size = 0;
    if (syscall(SYS_get_robust_list, thread, &head, &size) == 0 && head)
      blocks.push_back(reinterpret_cast<uint64_t>(head));
  }
  return blocks;
}

std::optional<std::vector<uint64_t>> residentIn(pid_t pid,
                                                const std::vector<AddressRange>& ranges) {
  const int fd = open(pathOf(pid, "pagemap").c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::nullopt;
  const auto page_bytes = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<uint64_t> resident;
  resident.reserve(ranges.size());
  for (const AddressRange& range : ranges) {
    const std::optional<uint64_t> bytes = countPages(fd, range, page_bytes);
    if (!bytes) break;
    resident.push_back(*bytes);
  }
  close(fd);
  if (resident.size() < ranges.size()) return std::nullopt;
  return resident;
}

}  // namespace memdrift
