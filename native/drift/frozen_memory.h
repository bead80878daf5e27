// SPDX-License-Identifier: MIT
// What a child that was just made by fork() needs to look at its memory, which is that of its
// parent at that moment: which addresses can be read, and which pages are there. None of it uses
// malloc: the child looks at malloc's own memory, and an allocation of its own would change that.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "proc/pagemap.h"

namespace memdrift {

// Pages of zeros for the rest of the child's life; null when there are none to be had.
template <typename T>
T* takePages(size_t count) {
  constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  void* const pages = mmap(nullptr, count * sizeof(T), PROT_READ | PROT_WRITE, kFlags, -1, 0);
  return pages == MAP_FAILED ? nullptr : static_cast<T*>(pages);
}

// A mapping that can be read and written and is private: nothing of malloc's is in others.
struct Piece {
  uint64_t start, end;
  bool is_anonymous;  // and neither the heap of brk() nor a stack
};

// Which of an area's pages are resident, a bit for each.
class PageBits {
 public:
  PageBits() = default;

  AddressRange area() const { return area_; }
  bool covers(uint64_t at, uint64_t bytes) const {
    return at >= area_.start && at < area_.end && bytes <= area_.end - at;
  }
  // Bytes within resident pages; a page of which only a part is in the range counts with that part.
  uint64_t residentIn(uint64_t from, uint64_t to) const;

 private:
  friend class FrozenMemory;
  bool hasPage(uint64_t page) const { return (bits_[page / 64] >> (page % 64) & 1) != 0; }
  uint64_t pagesIn(uint64_t first, uint64_t end) const;

  AddressRange area_ = {};
  uint64_t page_bytes_ = 1;
  uint64_t* bits_ = nullptr;
};

class FrozenMemory {
 public:
  // Without the kernel's scan, pages are looked at one by one, as before Linux 6.7.
  explicit FrozenMemory(bool has_scan = true) : knows_zero_pages_(has_scan) {}

  // Reads /proc/self/maps and opens the page map; false: it could not, errno says why.
  bool look();

  uint64_t pageBytes() const { return page_bytes_; }
  std::span<const Piece> pieces() const { return {pieces_, count_}; }
  // Where brk() began; 0 where the kernel does not say.
  uint64_t heapStart() const { return heap_start_; }
  // Whether the kernel tells a page of zeros, which is in no RSS, from others (Linux 6.7).
  bool knowsZeroPages() const { return knows_zero_pages_; }

  bool canRead(uint64_t at, uint64_t bytes) const;
  // Of an address that canRead() allows.
  static uint64_t wordAt(uint64_t at) { return *reinterpret_cast<const volatile uint64_t*>(at); }

  // Looks which pages of `area` are resident. Before anything in it is read: a read makes an entry
  // for a page of zeros where there was none, and brings back what is swapped out.
  bool findPages(AddressRange area, PageBits& bits);

  // Calls f(start, end) for the resident ranges within `where`, by address; false: the kernel
  // refused.
  template <typename F>
  bool forEachResident(AddressRange where, F&& f);

 private:
  static constexpr size_t kBufferBytes = 64 * 1024;
  bool readMaps();
  void addLine(const char* line, const char* end);
  void readHeapStart();
  std::span<const uint64_t> readEntries(AddressRange where);

  uint64_t page_bytes_ = 0;
  uint64_t heap_start_ = 0;
  int pagemap_ = -1;
  bool knows_zero_pages_;
  Piece* pieces_ = nullptr;
  size_t count_ = 0;
  char* buffer_ = nullptr;  // of kBufferBytes
};

template <typename F>
bool FrozenMemory::forEachResident(AddressRange where, F&& f) {
  if (knows_zero_pages_) {
    PageScan scan(pagemap_, where);
    const std::span<PageRange> buffer(reinterpret_cast<PageRange*>(buffer_),
                                      kBufferBytes / sizeof(PageRange));
    for (auto found = scan.next(buffer); !found.empty(); found = scan.next(buffer))
      for (const PageRange& range : found)
        if ((range.kinds & (kPagePresent | kPageFile | kPageZero)) == kPagePresent)
          f(range.start, range.end);
    if (scan.result() != ScanResult::kNoIoctl) return scan.result() == ScanResult::kDone;
    knows_zero_pages_ = false;
  }
  constexpr uint64_t kPresent = uint64_t{1} << 63;
  constexpr uint64_t kOfFile = uint64_t{1} << 61;
  while (where.start < where.end) {
    const auto entries = readEntries(where);
    if (entries.empty()) return false;
    for (const uint64_t entry : entries) {
      if ((entry & (kPresent | kOfFile)) == kPresent) f(where.start, where.start + page_bytes_);
      where.start += page_bytes_;
    }
  }
  return true;
}

}  // namespace memdrift
