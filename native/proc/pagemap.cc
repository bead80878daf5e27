// SPDX-License-Identifier: MIT
#include "proc/pagemap.h"

#include <sys/ioctl.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>

namespace memdrift {

namespace {

// linux/fs.h of Linux 6.7: build machines have older headers, so the layout is here and asserted.
struct ScanArgument {
  uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
  uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
static_assert(sizeof(ScanArgument) == 96 && offsetof(ScanArgument, return_mask) == 88);
static_assert(sizeof(PageRange) == 24 && offsetof(PageRange, kinds) == 16);

constexpr unsigned long kPagemapScan = _IOWR('f', 16, ScanArgument);
constexpr uint64_t kReturned =
    kPageFile | kPagePresent | kPageSwapped | kPageZero | kPageHuge | kPageGuard;
constexpr size_t kRangesPerCall = 4096;
constexpr unsigned kPageShift = 12;

int scanOnce(int fd, ScanArgument& argument) {
  int count = ioctl(fd, kPagemapScan, &argument);
  if (count >= 0 || errno != EINVAL) return count;
  argument.return_mask = kReturned & ~kPageGuard;  // before 6.15
  return ioctl(fd, kPagemapScan, &argument);
}

}  // namespace

std::span<const PageRange> PageScan::next(std::span<PageRange> buffer) {
  if (where_.start >= where_.end) return {};
  ScanArgument argument = {};
  argument.size = sizeof argument;
  argument.start = where_.start;
  argument.end = where_.end;
  argument.vec = reinterpret_cast<uint64_t>(buffer.data());
  argument.vec_len = buffer.size();
  argument.category_anyof_mask = kPagePresent | kPageSwapped;
  argument.return_mask = kReturned;
  const int count = scanOnce(fd_, argument);
  if (count < 0) {
    result_ = errno == ENOTTY || errno == EINVAL ? ScanResult::kNoIoctl : ScanResult::kFailed;
    where_.start = where_.end;
    return {};
  }
  const auto found = static_cast<size_t>(count);
  // Room left means that the walk came to the end. walk_end does not say so: kernels (6.18 among
  // them) leave in it where their buffer of 512 ranges last ran full, and going on from there
  // would count what follows twice.
  where_.start =
      found < buffer.size() ? where_.end : std::max(argument.walk_end, buffer.back().end);
  return buffer.first(found);
}

ScanResult scanPages(int fd, AddressRange where, std::vector<PageRange>& ranges) {
  // No more than there can be: a range has a page at least.
  std::vector<PageRange> buffer(
      std::clamp<size_t>((where.end - where.start) >> kPageShift, 1, kRangesPerCall));
  PageScan scan(fd, where);
  for (auto found = scan.next(buffer); !found.empty(); found = scan.next(buffer))
    ranges.insert(ranges.end(), found.begin(), found.end());
  return scan.result();
}

}  // namespace memdrift
