// SPDX-License-Identifier: MIT
#include "shm/mapping.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "errors.h"
#include "proc/pagemap.h"

namespace memdrift {

namespace {

#ifndef MADV_POPULATE_READ
constexpr int MADV_POPULATE_READ = 22;
#endif

constexpr uint64_t kPageBytes = 4096;
constexpr uint64_t kEntryPresent = uint64_t{1} << 63;
constexpr uint64_t kEntrySwapped = uint64_t{1} << 62;
constexpr uint64_t kEntryOfFile = uint64_t{1} << 61;

constexpr uint64_t kPagesPerLook = 65536;
constexpr uint64_t kProbes = 16;

// Asks for some pages of the range whether this process has entries for them. A population where
// all stand already costs as much as one where none does; a wrong guess costs faults, nothing else.
bool looksPopulated(const unsigned char* start, uint64_t bytes) {
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return false;
  const uint64_t first = reinterpret_cast<uint64_t>(start) / kPageBytes;
  const uint64_t pages = bytes / kPageBytes;
  bool populated = true;
  for (uint64_t probe = 0; populated && probe < kProbes; probe++) {
    const uint64_t page = first + probe * (pages - 1) / (kProbes - 1);
    uint64_t entry = 0;
    const off_t at = static_cast<off_t>(page * sizeof(entry));
    populated = pread(pagemap, &entry, sizeof(entry), at) == static_cast<ssize_t>(sizeof(entry)) &&
                (entry & kEntryPresent) != 0;
  }
  close(pagemap);
  return populated;
}

// The way of kernels without PAGEMAP_SCAN: one 8-byte entry per page.
bool hasCopiedEntries(int pagemap, uint64_t start, uint64_t bytes) {
  uint64_t entries[512];
  uint64_t page = start / kPageBytes;
  const uint64_t end = (start + bytes + kPageBytes - 1) / kPageBytes;
  while (page < end) {
    const size_t count = std::min<uint64_t>(std::size(entries), end - page);
    const ssize_t got = pread(pagemap, entries, count * sizeof(uint64_t),
                              static_cast<off_t>(page * sizeof(uint64_t)));
    if (got <= 0) return true;
    const size_t read_entries = static_cast<size_t>(got) / sizeof(uint64_t);
    for (size_t i = 0; i < read_entries; i++) {
      const bool ours = (entries[i] & (kEntryPresent | kEntrySwapped)) != 0;
      if (ours && (entries[i] & kEntryOfFile) == 0) return true;
    }
    page += read_entries;
  }
  return false;
}

bool anyCopied(const std::vector<PageRange>& ranges) {
  return std::any_of(ranges.begin(), ranges.end(), [](const PageRange& range) {
    return (range.kinds & kPageFile) == 0 && (range.kinds & (kPagePresent | kPageSwapped)) != 0;
  });
}

}  // namespace

Mapping::Mapping(const MappingRequest& request) : bytes_(request.bytes) {
  void* address = mmap(nullptr, request.bytes, request.protection, request.flags | MAP_NORESERVE,
                       request.fd, static_cast<off_t>(request.offset_bytes));
  if (address == MAP_FAILED)
    throw Error::fromErrno("mmap", std::to_string(request.bytes) + " bytes of the segment");
  data_ = static_cast<unsigned char*>(address);
}

Mapping::~Mapping() {
  if (data_ != nullptr) munmap(data_, bytes_);
}

Mapping::Mapping(Mapping&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}

Mapping& Mapping::operator=(Mapping&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

void populateEntries(unsigned char* start, uint64_t bytes) noexcept {
  if (!looksPopulated(start, bytes)) madvise(start, bytes, MADV_POPULATE_READ);
}

std::optional<PageGap> findMissingPages(unsigned char* start, uint64_t bytes) {
  std::vector<unsigned char> in_file(std::min<uint64_t>(bytes / kPageBytes, kPagesPerLook));
  PageGap gap{0, 0};
  for (uint64_t at = 0; at < bytes; at += in_file.size() * kPageBytes) {
    const uint64_t length = std::min<uint64_t>(bytes - at, in_file.size() * kPageBytes);
    // A kernel that does not say has them all missing: fallocate is then slow, and right.
    if (mincore(start + at, length, in_file.data()) != 0) return PageGap{0, bytes};
    for (uint64_t page = 0; page < length / kPageBytes; page++) {
      const bool missing = (in_file[page] & 1) == 0;
      if (!missing && gap.bytes != 0) return gap;
      if (!missing) continue;
      if (gap.bytes == 0) gap.offset_bytes = at + page * kPageBytes;
      gap.bytes += kPageBytes;
    }
  }
  if (gap.bytes == 0) return std::nullopt;
  return gap;
}

void dropEntries(unsigned char* start, uint64_t bytes) noexcept {
  if (madvise(start, bytes, MADV_DONTNEED) == 0) return;
  // A program that locks its memory (mlockall) has these pages locked, and keeps them then. Copied
  // ones would be read as part of the next object at their place.
  munlock(start, bytes);
  madvise(start, bytes, MADV_DONTNEED);
}

bool hasCopiedPages(const unsigned char* start, uint64_t bytes) noexcept {
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0) return true;
  const uint64_t address = reinterpret_cast<uint64_t>(start);
  bool copied = true;
  try {
    std::vector<PageRange> ranges;
    const ScanResult result = scanPages(pagemap, {address, address + bytes}, ranges);
    if (result == ScanResult::kDone) copied = anyCopied(ranges);
    if (result == ScanResult::kNoIoctl) copied = hasCopiedEntries(pagemap, address, bytes);
  } catch (const std::bad_alloc&) {
    copied = true;
  }
  close(pagemap);
  return copied;
}

}  // namespace memdrift
