// SPDX-License-Identifier: MIT
#include "drift/frozen_memory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>

namespace memdrift {

namespace {

// More mappings than a process may have, unless vm.max_map_count was raised sixteenfold.
constexpr size_t kMostPieces = 1 << 20;

uint64_t parseNumber(const char*& at, const char* end, unsigned base) {
  uint64_t number = 0;
  for (; at < end; at++) {
    const char c = *at;
    unsigned digit = base;
    if (c >= '0' && c <= '9') digit = static_cast<unsigned>(c - '0');
    if (c >= 'a' && c <= 'f') digit = static_cast<unsigned>(c - 'a') + 10;
    if (digit >= base) break;
    number = number * base + digit;
  }
  return number;
}

// Behind the next `count` spaces, or `end`.
const char* skipFields(const char* at, const char* end, int count) {
  for (; count > 0 && at < end; at++)
    if (*at == ' ') count--;
  return at;
}

}  // namespace

uint64_t PageBits::pagesIn(uint64_t first, uint64_t end) const {
  uint64_t count = 0;
  while (first < end) {
    const uint64_t offset = first % 64;
    const uint64_t taken = std::min(64 - offset, end - first);
    const uint64_t mask = taken == 64 ? ~uint64_t{0} : ((uint64_t{1} << taken) - 1) << offset;
    count += static_cast<uint64_t>(std::popcount(bits_[first / 64] & mask));
    first += taken;
  }
  return count;
}

uint64_t PageBits::residentIn(uint64_t from, uint64_t to) const {
  if (from >= to) return 0;
  from -= area_.start;
  to -= area_.start;
  const uint64_t first = from / page_bytes_;
  const uint64_t last = (to - 1) / page_bytes_;
  if (first == last) return hasPage(first) ? to - from : 0;
  uint64_t bytes = pagesIn(first + 1, last) * page_bytes_;
  if (hasPage(first)) bytes += (first + 1) * page_bytes_ - from;
  if (hasPage(last)) bytes += to - last * page_bytes_;
  return bytes;
}

bool FrozenMemory::look() {
  page_bytes_ = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  pagemap_ = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap_ < 0) return false;
  buffer_ = takePages<char>(kBufferBytes);
  pieces_ = takePages<Piece>(kMostPieces);
  if (!buffer_ || !pieces_) return false;
  readHeapStart();
  return readMaps();
}

// Field 47 of stat, counted from behind the name, which may have anything in it.
void FrozenMemory::readHeapStart() {
  const int fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return;
  const ssize_t size = read(fd, buffer_, kBufferBytes);
  close(fd);
  if (size <= 0) return;
  const char* const end = buffer_ + size;
  const auto* name_end = static_cast<const char*>(memrchr(buffer_, ')', static_cast<size_t>(size)));
  if (!name_end) return;
  const char* at = skipFields(name_end, end, 45);
  heap_start_ = parseNumber(at, end, 10);
}

bool FrozenMemory::readMaps() {
  const int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  if (fd < 0) return false;
  size_t filled = 0;
  for (;;) {
    const ssize_t size = read(fd, buffer_ + filled, kBufferBytes - filled);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) {
      close(fd);
      return size == 0;
    }
    filled += static_cast<size_t>(size);
    const char* line = buffer_;
    while (const auto* newline = static_cast<const char*>(
               memchr(line, '\n', filled - static_cast<size_t>(line - buffer_)))) {
      addLine(line, newline);
      line = newline + 1;
    }
    filled -= static_cast<size_t>(line - buffer_);
    memmove(buffer_, line, filled);
  }
}

// "start-end rw-p offset device inode   name"
void FrozenMemory::addLine(const char* line, const char* end) {
  Piece piece = {};
  piece.start = parseNumber(line, end, 16);
  if (line < end) line++;
  piece.end = parseNumber(line, end, 16);
  if (end - line < 6 || memcmp(line, " rw-p ", 6) != 0) {
    if (end - line < 6 || memcmp(line, " rwxp ", 6) != 0) return;
  }
  line = skipFields(line + 6, end, 2);
  const uint64_t inode = parseNumber(line, end, 10);
  while (line < end && *line == ' ') line++;
  // Names that a program gave, with prctl(PR_SET_VMA_ANON_NAME), begin with "[anon:".
  const bool is_unnamed = line == end || (end - line > 6 && memcmp(line, "[anon:", 6) == 0);
  piece.is_anonymous = inode == 0 && is_unnamed;
  if (count_ < kMostPieces) pieces_[count_++] = piece;
}

bool FrozenMemory::canRead(uint64_t at, uint64_t bytes) const {
  if (at + bytes < at) return false;
  const Piece* const all_end = pieces_ + count_;
  const Piece* const all = pieces_;
  const Piece* piece = std::upper_bound(
      all, all_end, at, [](uint64_t address, const Piece& one) { return address < one.end; });
  for (uint64_t from = at; piece < all_end && piece->start <= from; piece++) {
    if (at + bytes <= piece->end) return true;
    from = piece->end;
    if (piece + 1 == all_end || piece[1].start != from) return false;
  }
  return false;
}

std::span<const uint64_t> FrozenMemory::readEntries(AddressRange where) {
  auto* const entries = reinterpret_cast<uint64_t*>(buffer_);
  const size_t wanted =
      std::min<size_t>((where.end - where.start) / page_bytes_, kBufferBytes / sizeof(uint64_t));
  const auto offset = static_cast<off_t>(where.start / page_bytes_ * sizeof(uint64_t));
  const ssize_t size = pread(pagemap_, entries, wanted * sizeof(uint64_t), offset);
  if (size <= 0) return {};
  return {entries, static_cast<size_t>(size) / sizeof(uint64_t)};
}

bool FrozenMemory::findPages(AddressRange area, PageBits& bits) {
  const uint64_t count = (area.end - area.start) / page_bytes_;
  bits.area_ = area;
  bits.page_bytes_ = page_bytes_;
  bits.bits_ = takePages<uint64_t>(count / 64 + 1);
  if (!bits.bits_) return false;
  return forEachResident(area, [&](uint64_t start, uint64_t end) {
    uint64_t page = (start - area.start) / page_bytes_;
    const uint64_t page_end = (end - area.start) / page_bytes_;
    for (; page < page_end; page++) bits.bits_[page / 64] |= uint64_t{1} << (page % 64);
  });
}

}  // namespace memdrift
