// SPDX-License-Identifier: MIT
// A range of a segment in this process's address space, and what can be done to its pages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace memdrift {

// What to map: protection and flags are mmap's; MAP_NORESERVE is added.
struct MappingRequest {
  int fd;
  uint64_t offset_bytes;
  uint64_t bytes;
  int protection;
  int flags;
};

// A part of a range, from its start.
struct PageGap {
  uint64_t offset_bytes;
  uint64_t bytes;
};

// One mmap, unmapped at the end. An empty one has no data.
class Mapping {
 public:
  Mapping() = default;
  // Throws ERR_NO_MEMORY when the kernel has no address space, or no commit charge, for it.
  explicit Mapping(const MappingRequest& request);
  ~Mapping();
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&& other) noexcept;

  unsigned char* data() const noexcept { return data_; }
  uint64_t bytes() const noexcept { return bytes_; }

 private:
  unsigned char* data_ = nullptr;
  uint64_t bytes_ = 0;
};

// Makes page-table entries for pages that the file has, so that the first write or read of each is
// no fault: a read population of a shared mapping of tmpfs makes writable entries, 10 ms per 100 MB
// against 50 by write faults. Does nothing where entries stand already, nor before Linux 5.14.
// Never allocates pages where the file has them all.
void populateEntries(unsigned char* start, uint64_t bytes) noexcept;

// The first pages in [start, start + bytes) of a shared mapping that the file has not, if there
// are any. 0.1 ms per 100 MB where this process has mapped them already.
std::optional<PageGap> findMissingPages(unsigned char* start, uint64_t bytes);

// Gives up this process's entries for the range: RSS falls, the file keeps its pages. Copied pages
// of a private mapping are lost.
void dropEntries(unsigned char* start, uint64_t bytes) noexcept;

// True if the private mapping's range has pages of its own, copied by a write. When the kernel does
// not let us look, true.
bool hasCopiedPages(const unsigned char* start, uint64_t bytes) noexcept;

}  // namespace memdrift
