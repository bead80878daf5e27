// SPDX-License-Identifier: MIT
// ioctl PAGEMAP_SCAN: ranges of pages of equal kind in a part of a process's address space.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace memdrift {

// Bits of PageRange::kinds; the kernel's PAGE_IS_*.
inline constexpr uint64_t kPageFile = 1 << 2;  // not anonymous: of a file or shared memory
inline constexpr uint64_t kPagePresent = 1 << 3;
inline constexpr uint64_t kPageSwapped = 1 << 4;  // an entry that is not a page: swap, but also
                                                  // migration, guard and poison markers
inline constexpr uint64_t kPageZero = 1 << 5;     // the shared page of zeros
inline constexpr uint64_t kPageHuge = 1 << 6;     // mapped by a huge entry: hugetlb or transparent
inline constexpr uint64_t kPageGuard = 1 << 8;    // MADV_GUARD_INSTALL; reported since 6.15

struct PageRange {
  uint64_t start, end, kinds;
};

enum class ScanResult { kDone, kNoIoctl, kFailed };

struct AddressRange {
  uint64_t start, end;
};

// The ranges within a part, a buffer at a time. Takes no heap: a child after fork() may use it.
class PageScan {
 public:
  // `fd` is an open /proc/PID/pagemap.
  PageScan(int fd, AddressRange where) : fd_(fd), where_(where) {}

  // The next ranges that have pages or swap entries, by address, in `buffer`. None: there are no
  // more, or result() says why not. kFailed leaves errno.
  std::span<const PageRange> next(std::span<PageRange> buffer);
  ScanResult result() const { return result_; }

 private:
  int fd_;
  AddressRange where_;
  ScanResult result_ = ScanResult::kDone;
};

// Adds the ranges within `where` that have pages or swap entries, by address, to `ranges`. `fd` is
// an open /proc/PID/pagemap. kFailed leaves errno.
ScanResult scanPages(int fd, AddressRange where, std::vector<PageRange>& ranges);

}  // namespace memdrift
