// SPDX-License-Identifier: MIT
#include "proc/huge_faults.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <string>

#include "proc/scan.h"

namespace memdrift {

namespace {

constexpr char kSettings[] = "/sys/kernel/mm/transparent_hugepage/";
// fault_around_bytes is in debugfs, which few can read; its default on every architecture.
constexpr double kAroundBytes = 64 * 1024;
constexpr double kUsualHugePageBytes = 2 * 1024 * 1024;
constexpr size_t kVmstatBytes = 16 * 1024;
// What each of them counts adds as much as a huge page to some process.
constexpr std::string_view kCounters[] = {"thp_fault_alloc", "thp_collapse_alloc",
                                          "thp_file_mapped"};

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

// Since 6.8 there are folios between a page and a huge page, each size with a setting of its own.
double largestSmallFolioBytes(double huge_page_bytes) {
  double largest = kAroundBytes;
  for (double bytes = 2 * largest; bytes < huge_page_bytes; bytes *= 2) {
    const std::string folder = std::string(kSettings) + "hugepages-" +
                               std::to_string(static_cast<uint64_t>(bytes) / 1024) + "kB/";
    if (isEnabled(textOf(folder + "enabled")) || isEnabled(textOf(folder + "shmem_enabled")))
      largest = bytes;
  }
  return largest;
}

}  // namespace

double hugePagesIn(std::string_view text) {
  double pages = NAN;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    Scanner scanner(line);
    const std::string_view name = scanner.word();
    uint64_t count;
    scanner.skipBlanks();
    const bool is_counter =
        std::find(std::begin(kCounters), std::end(kCounters), name) != std::end(kCounters);
    if (is_counter && scanner.decimal(count))
      pages = (std::isnan(pages) ? 0 : pages) + static_cast<double>(count);
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  return pages;
}

bool isEnabled(std::string_view text) {
  return !text.empty() && text.find("[never]") == text.npos && text.find("[deny]") == text.npos;
}

HugeFaults::HugeFaults()
    : fd_(open("/proc/vmstat", O_RDONLY | O_CLOEXEC)),
      huge_page_bytes_(hugePageBytes()),
      fault_pages_(largestSmallFolioBytes(huge_page_bytes_) /
                   static_cast<double>(sysconf(_SC_PAGESIZE))) {}

HugeFaults::~HugeFaults() {
  if (fd_ >= 0) close(fd_);
}

double HugeFaults::readBytes() const {
  char text[kVmstatBytes];
  const ssize_t got = fd_ < 0 ? -1 : pread(fd_, text, sizeof text, 0);
  if (got <= 0) return NAN;
  const double pages = hugePagesIn({text, static_cast<size_t>(got)});
  // A kernel without huge pages has none of the counters; a text that was cut may lack them too.
  const bool is_whole = static_cast<size_t>(got) < sizeof text;
  return std::isnan(pages) ? (is_whole ? 0 : NAN) : pages * huge_page_bytes_;
}

}  // namespace memdrift
