// SPDX-License-Identifier: MIT
#include "tracker/own_memory.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "capture/own_mappings.h"
#include "capture/own_pages.h"
#include "errors.h"
#include "proc/pagemap.h"
#include "proc/read_file.h"
#include "tracker/session.h"

namespace memdrift {

namespace {

// glibc's HEAP_MAX_SIZE on 64-bit machines: arenas are made of pieces that begin at multiples.
constexpr uint64_t kArenaBytes = 64 << 20;
constexpr uint64_t kPageMask = 4095;
constexpr const char* kStorePrefix = "/dev/shm/memdrift.";

// Where the page that holds the stack of thread `tid` is: the kernel tells a waiting thread's
// stack pointer. 0: it runs just now.
uint64_t stackPointerOf(const char* tid) {
  const std::string path = std::string("/proc/self/task/") + tid + "/syscall";
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  char text[512];
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size <= 0) return 0;
  text[size] = '\0';
  // Its number, six arguments, the stack pointer, where it is; "-1" and the last two outside of a
  // call; "running".
  std::vector<uint64_t> numbers;
  char* at = text;
  for (char* end; numbers.size() < 9; at = end) {
    const auto number = strtoull(at, &end, 0);
    if (end == at) break;
    numbers.push_back(number);
  }
  return numbers.size() < 2 ? 0 : numbers[numbers.size() - 2];
}

bool isPrivate(const PageRange& range) {
  return (range.kinds & (kPagePresent | kPageFile | kPageZero)) == kPagePresent;
}

}  // namespace

OwnMemory::OwnMemory(MappingLog& log)
    : log_(log), pagemap_(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)) {
  findOlderStacks();
}

OwnMemory::~OwnMemory() {
  if (pagemap_ >= 0) close(pagemap_);
}

// Threads that are older than the log: the mapping that their stack pointer is in is their stack.
void OwnMemory::findOlderStacks() {
  DIR* threads = opendir("/proc/self/task");
  if (!threads) return;
  const pid_t first_thread = ownPidInProc();
  try {
    const MappingTable mappings = readMaps(kSelf);
    while (const dirent* entry = readdir(threads)) {
      if (atoi(entry->d_name) == first_thread) continue;
      const uint64_t pointer = stackPointerOf(entry->d_name);
      for (size_t i = 0; pointer != 0 && i < mappings.size(); i++)
        if (mappings[i].start_address <= pointer && pointer < mappings[i].end_address)
          stacks_[mappings[i].start_address] = {mappings[i].end_address, 0, true};
    }
  } catch (const Error&) {
    failed_ = true;
  }
  closedir(threads);
}

OwnMemory::Look OwnMemory::look() {
  Look look;
  ResidentParts& parts = look.parts;
  failed_ = pagemap_ < 0;
  keepUp();
  parts.stack_bytes = stackBytes(look.stacks);
  parts.own_bytes = ownBytes();
  if (log_.isWhole() && !failed_) {
    parts.mapped_bytes = mappedBytes(look.mappings);
    mapped_.onLook(look.mappings, 0);
    look.has_mappings = true;
  }
  try {
    addMappings(readMaps(kSelf), parts);
  } catch (const Error&) {
    failed_ = true;
  }
  if (failed_) parts = {};
  return look;
}

void OwnMemory::keepUp() {
  for (Event event; log_.take(event);) {
    if (event.type == EventType::stack)
      stacks_[event.address] = {event.address + event.bytes, 0, false};
    else if (event.type == EventType::stack_end)
      stacks_.erase(event.address);
    else
      mapped_.onEvent(event);
  }
}

// Private pages that are there. Kernels before 6.7 are asked page by page: they take a page of
// zeros that was only read for one as well.
uint64_t OwnMemory::residentOf(uint64_t begin, uint64_t end) {
  if (begin == end) return 0;
  std::vector<PageRange> ranges;
  uint64_t bytes = 0;
  if (scanPages(pagemap_, {begin, end}, ranges) == ScanResult::kDone) {
    for (const PageRange& range : ranges)
      if (isPrivate(range)) bytes += range.end - range.start;
    return bytes;
  }
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  std::vector<unsigned char> present((end - begin) / page);
  if (mincore(reinterpret_cast<void*>(begin), end - begin, present.data()) != 0) return 0;
  for (const unsigned char one : present) bytes += (one & 1) * page;
  return bytes;
}

// Scans adjacent ranges together, since V8 makes many small ones.
uint64_t OwnMemory::mappedBytes(std::vector<MappingResidency>& changed) {
  // Takes as many looks as after a change that was kept: the reader may apply it after the first.
  if (log_.takeLostChanges()) full_looks_ = kEnoughLooks;
  const bool is_full = full_looks_ > 0;
  if (is_full) full_looks_--;
  uint64_t bytes = 0;
  std::vector<Mapped> run;
  const auto lookAtRun = [&] {
    bytes += addResident(run);
    for (const Mapped& one : run) {
      const uint64_t found = one.isOfFile() ? one.present_bytes : one.private_bytes;
      const bool is_news = found != one.state->resident_bytes || one.state->looks < kEnoughLooks;
      if ((is_news || is_full) && changed.size() < kMostMappings)
        changed.push_back({one.begin, one.end - one.begin, found});
    }
    run.clear();
  };
  mapped_.ranges().forEach([&](uint64_t begin, uint64_t end, const RangeState& state) {
    if (!run.empty() && run.back().end != begin) lookAtRun();
    run.push_back({begin, end, &state, 0, 0});
  });
  lookAtRun();
  return bytes;
}

bool OwnMemory::Mapped::isOfFile() const {
  return state->kind != static_cast<uint32_t>(AllocationKind::mapping);
}

// Fills in the resident bytes of adjacent ranges. Returns the bytes of private pages, without those
// of shared mappings. Kernels before 6.7 do not report which pages of a file this process has: all
// pages count there.
uint64_t OwnMemory::addResident(std::vector<Mapped>& run) {
  uint64_t bytes = 0;
  if (run.empty()) return 0;
  pages_.clear();
  const bool has_pages =
      scanPages(pagemap_, {run.front().begin, run.back().end}, pages_) == ScanResult::kDone;
  auto page = pages_.begin();
  for (Mapped& one : run) {
    if (!has_pages) {
      one.private_bytes = residentOf(one.begin, one.end);
      one.present_bytes = one.end - one.begin;
    }
    for (; page != pages_.end() && page->start < one.end; ++page) {
      const uint64_t end = std::min(page->end, one.end);
      const uint64_t length = end - std::max(page->start, one.begin);
      if ((page->kinds & kPagePresent) != 0) one.present_bytes += length;
      if (isPrivate(*page)) one.private_bytes += length;
      if (page->end > one.end) break;  // the rest is the next range's
    }
    if (one.state->kind != static_cast<uint32_t>(AllocationKind::shared))
      bytes += one.private_bytes;
  }
  return bytes;
}

// Returns the resident bytes of the tracker's own tables. A table that a hook unmaps meanwhile has
// no pages.
uint64_t OwnMemory::ownBytes() {
  uint64_t bytes = OwnMappings::unlistedBytes();
  const auto add = [&](const void* at, size_t size) {
    const auto begin = reinterpret_cast<uint64_t>(at);
    bytes += residentOf(begin, begin + ((size + kPageMask) & ~kPageMask));
  };
  OwnMappings::forEach(add);
  OwnPages::forEach(add);
  return bytes;
}

uint64_t OwnMemory::stackBytes(std::vector<StackResidency>& changed) {
  uint64_t bytes = 0;
  for (auto& [begin, stack] : stacks_) {
    const uint64_t resident_bytes = residentOf(begin, stack.end);
    bytes += resident_bytes;
    if (resident_bytes == stack.resident_bytes) continue;
    stack.resident_bytes = resident_bytes;
    changed.push_back({begin, resident_bytes, stack.is_older ? 1U : 0U});
  }
  return bytes;
}

void OwnMemory::addMappings(const MappingTable& mappings, ResidentParts& parts) {
  parts.malloc_bytes = parts.store_bytes = 0;
  for (size_t i = 0; i < mappings.size(); i++) {
    const auto& [begin, end] = std::pair(mappings[i].start_address, mappings[i].end_address);
    const std::string& name = mappings.nameOf(i);
    if (name == "[heap]" || isArena(mappings, i)) parts.malloc_bytes += residentOf(begin, end);
    if (!name.starts_with(kStorePrefix)) continue;
    std::vector<PageRange> ranges;
    if (scanPages(pagemap_, {begin, end}, ranges) != ScanResult::kDone) {
      parts.store_bytes = kUnknown;
      break;
    }
    for (const PageRange& range : ranges)
      if ((range.kinds & kPagePresent) != 0) parts.store_bytes += range.end - range.start;
  }
}

// Private memory at such a multiple that the hooks did not see mapped, and the rest of the piece
// reserved behind it, unless all of it is in use.
bool OwnMemory::isArena(const MappingTable& mappings, size_t at) const {
  const MappingRow& row = mappings[at];
  const uint64_t end = row.start_address + kArenaBytes;
  if (row.start_address % kArenaBytes != 0 || row.inode != 0 || row.end_address > end) return false;
  if (mappings.permissionsOf(at) != "rw-p" || !mappings.nameOf(at).empty()) return false;
  bool is_tracked = false;
  mapped_.ranges().forEach([&](uint64_t begin, uint64_t range_end, const RangeState&) {
    is_tracked |= begin < row.end_address && range_end > row.start_address;
  });
  if (is_tracked) return false;
  if (row.end_address == end) return true;
  return at + 1 < mappings.size() && mappings[at + 1].start_address == row.end_address &&
         mappings[at + 1].end_address >= end && mappings.permissionsOf(at + 1) == "---p";
}

}  // namespace memdrift
