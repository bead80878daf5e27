// SPDX-License-Identifier: MIT
// Where malloc's memory is: in use, freed and still resident, and what malloc_trim(0) would return
// of it. Of the calling process, at one instant.
//
// A child that fork() makes does the looking. glibc takes the locks of all arenas for a fork, so
// that the child has a heap in which nobody is in the middle of anything, and keeps it while the
// program goes on; and what the child meets in a heap that was written over ends the child only.
// The alternatives:
// - In the process itself, with the locks held by us: no copy of page tables. But all threads wait
//   for as long as the walk takes (0.1 s per GB, or more) instead of for the fork only; the locks
//   are no interface; and a header that was written over is a crash of the program.
// - vfork(), or a process that shares memory: is not frozen.
// - _Fork(), or a bare clone(): takes no lock, and so sees chunks half linked. It would run no
//   handler of pthread_atfork(), which fork() runs. Those of Node, libuv and OpenSSL do nothing
//   but change the child's own state; a library whose handlers do more has the same at any fork().
// - From outside, with all threads stopped: they stop in the middle of malloc.
// What it costs, with pages of 4 KiB: 30 to 40 ms per resident GB for the copy of the page tables,
// during which nobody can allocate; while the child lives, a copy of each page that the program
// writes to; after it, a fault of 0.6 us for each page when it is next written. The walk itself
// goes on beside the program: 0.2 s per GB of blocks of 4 KiB, 0.6 s of 100 bytes. A huge page that
// is written to meanwhile becomes small ones. And the child is a process for a moment: it ends with
// a SIGCHLD, and halves the PSS of what it shares.
// What is not seen: a lock on pages (mlock) keeps a trim from giving them back, and
// glibc.malloc.hugetlb makes it keep parts of huge ones.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "drift/own_statistics.h"
#include "drift/walk_result.h"
#include "proc/pagemap.h"

namespace memdrift {

struct ArenaReport {
  ArenaFigures figures;
  // Its memory, whole pages, by address; figures.all is the sum.
  std::vector<AddressRange> ranges;
};

// Blocks that are mappings of their own.
struct MappedBlocks {
  uint64_t count, bytes;  // as malloc counts them
  // Nothing where what was found is not what malloc counts.
  std::optional<uint64_t> resident_bytes;
  // Where they are, as far as they were found; nothing where there are more than malloc counts.
  std::vector<AddressRange> ranges;
};

struct MallocReport {
  std::string allocator;
  bool is_walked = false;
  std::string why_not;               // where it is not walked
  std::optional<OwnStatistics> own;  // where it is not walked, and counts itself
  std::string why_estimated;         // "": the figures are exact
  std::vector<ArenaReport> arenas;   // the main one first
  std::optional<MappedBlocks> mapped;
  // Contents of ArrayBuffers; those in arenas are with the arenas, of those that are in no memory
  // of malloc's there is only where they should be.
  BufferFigures buffers = {};
  std::vector<AddressRange> buffers_elsewhere;
  StringFigures strings = {};
  // Threads' caches that were found. 0: what is in them is not known, and counted as in use.
  uint32_t thread_caches = 0;
  uint64_t trim_bytes = 0;  // resident bytes that malloc_trim(0) returns
  double fork_ms = 0;       // this thread, for the copy of its page tables
  double walk_ms = 0;       // until the child was done
};

// Any thread; of two the second one waits. A heap that is not walked is no error: see why_not.
MallocReport readOwnMalloc();

}  // namespace memdrift
