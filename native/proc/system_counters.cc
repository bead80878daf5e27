// SPDX-License-Identifier: MIT
#include "proc/system_counters.h"

#include <fcntl.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string>

#include "proc/scan.h"

namespace memdrift {

namespace {

constexpr char kSettings[] = "/sys/kernel/mm/transparent_hugepage/";
constexpr double kUsualHugePageBytes = 2 * 1024 * 1024;
// The default of fault_around_bytes on every architecture; few users can read it in debugfs.
constexpr double kAroundBytes = 64 * 1024;
constexpr double kSmallestFolioBytes = 8 * 1024;
// A processor holds back at most this many pages of a system counter.
constexpr double kPagesPerProcessor = 125;
constexpr size_t kVmstatBytes = 16 * 1024;

double pageBytes() { return static_cast<double>(sysconf(_SC_PAGESIZE)); }

std::string textOf(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  char text[128];
  const ssize_t got = read(fd, text, sizeof text);
  close(fd);
  return {text, static_cast<size_t>(std::max<ssize_t>(0, got))};
}

double hugePageBytes() {
  uint64_t bytes;
  const std::string text = textOf(std::string(kSettings) + "hpage_pmd_size");
  return Scanner(text).decimal(bytes) ? static_cast<double>(bytes) : kUsualHugePageBytes;
}

// Linux 6.8 and later have folios between a page and a huge page; each size has its own settings.
double largestFolioBytes(const char* setting, double huge_page_bytes) {
  double largest = pageBytes();
  for (double bytes = kSmallestFolioBytes; bytes < huge_page_bytes; bytes *= 2) {
    const auto kilobytes = std::to_string(static_cast<uint64_t>(bytes) / 1024);
    if (isEnabled(textOf(std::string(kSettings) + "hugepages-" + kilobytes + "kB/" + setting)))
      largest = bytes;
  }
  return largest;
}

}  // namespace

SystemLook parseVmstat(std::string_view text, double huge_page_bytes) {
  const double page_bytes = pageBytes();
  SystemLook look;
  double other_huge_bytes = NAN;
  const struct {
    std::string_view name;
    double& sum;
    double bytes;
  } counters[] = {{"thp_fault_alloc", look.faulted_huge_bytes, huge_page_bytes},
                  {"thp_collapse_alloc", other_huge_bytes, huge_page_bytes},
                  {"thp_file_mapped", other_huge_bytes, huge_page_bytes},
                  {"pgfault", look.fault_bytes, page_bytes},
                  {"nr_shmem", look.shmem_bytes, page_bytes},
                  {"pswpout", look.swapped_bytes, page_bytes},
                  {"nr_mapped", look.mapped_bytes, page_bytes}};
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    Scanner scanner(line);
    const std::string_view name = scanner.word();
    uint64_t count;
    scanner.skipBlanks();
    for (const auto& counter : counters)
      if (name == counter.name && scanner.decimal(count))
        counter.sum = (std::isnan(counter.sum) ? 0 : counter.sum) +
                      counter.bytes * static_cast<double>(count);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  look.huge_bytes = look.faulted_huge_bytes + other_huge_bytes;
  return look;
}

bool isEnabled(std::string_view text) {
  return !text.empty() && text.find("[never]") == text.npos && text.find("[deny]") == text.npos;
}

double counterNoiseBytes() {
  constexpr double kKeptPages = 64;
  utsname system{};
  unsigned major = 0, minor = 0;
  const bool is_known = uname(&system) == 0 && sscanf(system.release, "%u.%u", &major, &minor) == 2;
  return is_known && (major > 6 || (major == 6 && minor >= 17)) ? 0 : kKeptPages * pageBytes();
}

SystemCounters::SystemCounters()
    : fd_(open("/proc/vmstat", O_RDONLY | O_CLOEXEC)), huge_page_bytes_(hugePageBytes()) {
  anon_pages_ = largestFolioBytes("enabled", huge_page_bytes_) / pageBytes();
  const double shmem_bytes = largestFolioBytes("shmem_enabled", huge_page_bytes_);
  file_pages_ = std::max({1.0, kAroundBytes / pageBytes(), shmem_bytes / pageBytes()});
}

SystemCounters::~SystemCounters() {
  if (fd_ >= 0) close(fd_);
}

double SystemCounters::pagesOfHugePage() const { return huge_page_bytes_ / pageBytes(); }

SystemLook SystemCounters::look() const {
  char text[kVmstatBytes];
  const ssize_t got = fd_ < 0 ? -1 : pread(fd_, text, sizeof text, 0);
  if (got <= 0) return {};
  SystemLook look = parseVmstat({text, static_cast<size_t>(got)}, huge_page_bytes_);
  // A kernel without huge pages lacks their counters, and so may a truncated text.
  const bool is_whole = static_cast<size_t>(got) < sizeof text;
  if (is_whole && std::isnan(look.huge_bytes)) look.huge_bytes = look.faulted_huge_bytes = 0;
  const double uncounted =
      kPagesPerProcessor * pageBytes() * static_cast<double>(sysconf(_SC_NPROCESSORS_CONF));
  look.shmem_bytes += uncounted;
  look.mapped_bytes += uncounted;
  return look;
}

}  // namespace memdrift
