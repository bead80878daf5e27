// SPDX-License-Identifier: MIT
#include "proc/residency.h"

#include <sys/sysinfo.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <optional>

#include "errors.h"
#include "proc/hugetlb.h"
#include "proc/pagemap.h"
#include "proc/read_file.h"
#include "proc/smaps.h"

namespace memdrift {

namespace {

// Which present pages of a mapping smaps counts. The kernel's scan says FILE for a page that has a
// struct page and is not anonymous; for the rest it does not say whether smaps would count it.
enum class Counting {
  kAll,       // what is not FILE is anonymous
  kFileOnly,  // what is not FILE has no struct page: shared mappings have no anonymous pages
  kUnknown,   // could be either: a private mapping of a device
};

Counting countingOf(const MappingTable& maps, size_t i, std::optional<dev_t> shm) {
  const std::string& name = maps.nameOf(i);
  if (maps.permissionsOf(i)[3] == 's') return Counting::kFileOnly;
  if (maps[i].inode != 0 || name.starts_with('/')) {
    const bool device = name.starts_with("/dev/") && !name.starts_with("/dev/shm/");
    const bool kernel_file = name.starts_with("/proc/") || name.starts_with("/sys/");
    if (name.starts_with('/') && !device && !kernel_file) return Counting::kAll;
    // Private mappings of shared memory that was made without a mount are called /dev/zero too.
    return shm == makedev(maps[i].device_major, maps[i].device_minor) ? Counting::kAll
                                                                      : Counting::kUnknown;
  }
  if (name.starts_with("[vvar") || name == "[vsyscall]") return Counting::kFileOnly;
  const bool known = name.empty() || name == "[heap]" || name.starts_with("[stack") ||
                     name.starts_with("[anon:") || name == "[vdso]";
  return known ? Counting::kAll : Counting::kUnknown;
}

bool systemHasSwappedPages() {
  struct sysinfo info;
  return sysinfo(&info) != 0 || info.freeswap != info.totalswap;
}

// Walks mappings and ranges, both by address, side by side. One instance per read.
class Scan {
 public:
  Scan(pid_t pid, MappingTable maps) : pid_(pid) { result_.mappings = std::move(maps); }

  // Nothing, with reason() set, when the scan cannot say what smaps says.
  std::optional<Residency> run(int pagemap_fd) {
    const MappingTable& maps = result_.mappings;
    for (auto* column :
         {&result_.rss_bytes, &result_.anonymous_bytes, &result_.file_bytes, &result_.swap_bytes})
      column->assign(maps.size(), 0);
    if (!mappingsAreKnown() || !scan(pagemap_fd)) return {};
    size_t i = 0;
    for (const PageRange& range : ranges_) {
      while (i < maps.size() && maps[i].end_address <= range.start) i++;
      for (size_t j = i; j < maps.size() && maps[j].start_address < range.end; j++)
        if (!count(range, j)) return {};
    }
    for (i = 0; i < maps.size(); i++)
      result_.rss_bytes[i] = result_.anonymous_bytes[i] + result_.file_bytes[i];
    return std::move(result_);
  }

  const std::string& reason() const { return reason_; }

 private:
  bool fail(std::string reason) {
    reason_ = std::move(reason);
    return false;
  }

  bool mappingsAreKnown() {
    const MappingTable& maps = result_.mappings;
    const auto shm = anonymousShmDevice();
    const bool swap = systemHasSwappedPages();
    counting_.reserve(maps.size());
    for (size_t i = 0; i < maps.size(); i++) {
      counting_.push_back(countingOf(maps, i, shm));
      if (counting_.back() == Counting::kUnknown)
        return fail("pages of " + maps.nameOf(i) + " may be device memory");
      // smaps finds swapped pages of shared memory in the file; page tables do not have them.
      if (swap && maps[i].device_major == 0 && maps[i].inode != 0)
        return fail("pages of " + maps.nameOf(i) + " may be swapped");
    }
    return true;
  }

  bool scan(int pagemap_fd) {
    const MappingTable& maps = result_.mappings;
    // The vsyscall page is above what a process can address; the scan would refuse the whole range.
    constexpr uint64_t kKernelHalf = uint64_t{1} << 63;
    size_t last = maps.size();
    while (last > 0 && maps[last - 1].end_address > kKernelHalf) last--;
    if (last == 0) return true;
    switch (scanPages(pagemap_fd, {maps[0].start_address, maps[last - 1].end_address}, ranges_)) {
      case ScanResult::kDone:
        return true;
      case ScanResult::kNoIoctl:
        return fail("this kernel has no PAGEMAP_SCAN");
      case ScanResult::kFailed:
        break;
    }
    return fail(std::string("PAGEMAP_SCAN failed: ") + strerror(errno));
  }

  bool count(const PageRange& range, size_t i) {
    const MappingTable& maps = result_.mappings;
    if (range.kinds & kPageSwapped) {
      // Swap or a page on the move; rare enough to let smaps tell them apart.
      return range.kinds & kPageGuard ? true : fail("the process has swapped or migrating pages");
    }
    if (range.kinds & kPageZero) return true;
    if (range.kinds & kPageHuge && maps[i].inode != 0) {
      if (!hugetlb_) hugetlb_ = HugetlbDevices::of(pid_);
      if (!hugetlb_) return fail("hugetlb mappings cannot be told from others");
      if (hugetlb_->contains(maps[i].device_major, maps[i].device_minor)) return true;
    }
    const uint64_t end = std::min(range.end, maps[i].end_address);
    const auto bytes = static_cast<double>(end - std::max(range.start, maps[i].start_address));
    if (range.kinds & kPageFile)
      result_.file_bytes[i] += bytes;
    else if (counting_[i] == Counting::kAll)
      result_.anonymous_bytes[i] += bytes;
    return true;
  }

  pid_t pid_;
  Residency result_;
  std::string reason_;
  std::vector<Counting> counting_;
  std::vector<PageRange> ranges_;
  std::optional<HugetlbDevices> hugetlb_;
};

Residency residencyOf(SmapsTable&& table, std::string reason) {
  Residency result;
  result.source = Residency::Source::kSmaps;
  result.reason = std::move(reason);
  for (size_t i = 0; i < table.size(); i++) {
    result.rss_bytes.push_back(table.value(i, SmapsField::rss_bytes));
    result.anonymous_bytes.push_back(table.value(i, SmapsField::anonymous_bytes));
    result.swap_bytes.push_back(table.value(i, SmapsField::swap_bytes));
    result.file_bytes.push_back(result.rss_bytes[i] - result.anonymous_bytes[i]);
  }
  result.mappings = std::move(table.mappings);
  return result;
}

}  // namespace

namespace {

Residency readFromPagemap(pid_t pid) {
  // maps first: when exec comes between the two opens, maps is empty, which is seen, whereas a
  // pagemap of memory that is gone reads as nothing resident, which is not.
  ProcFile maps(pid, "maps");
  MappingTable table = readMaps(maps);
  // A process without memory has no pagemap to open; exec may have come, so smaps says what there
  // is.
  if (table.size() == 0) return residencyOf(readSmaps(pid), "the process has no memory");
  ProcFile pagemap(pid, "pagemap");
  Scan scan(pid, std::move(table));
  auto result = scan.run(pagemap.fd());
  char byte;
  if (pread(maps.fd(), &byte, 1, 0) != 1)
    throw Error(ErrorCode::ERR_GONE, "the process ended while " + maps.path() + " was read");
  if (!result) return residencyOf(readSmaps(pid), scan.reason());
  return std::move(*result);
}

}  // namespace

Residency readResidency(pid_t pid) {
  try {
    return readFromPagemap(pid);
  } catch (const Error& error) {
    // Of a process without memory some files cannot be opened although it is there.
    if (error.errorNumber() != ESRCH || !processExists(pid)) throw;
  }
  return residencyOf({}, "the process has no memory");
}

}  // namespace memdrift
