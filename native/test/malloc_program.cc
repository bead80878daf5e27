// SPDX-License-Identifier: MIT
// A program whose heap is in a known state, says what memdrift says of it, and then what
// malloc_trim(0) returned. A program of its own, without a sanitizer: those have a malloc of their
// own.
#include <fcntl.h>
#include <malloc.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <map>
#include <string_view>
#include <thread>
#include <vector>

#include "drift/allocator.h"
#include "drift/frozen_memory.h"
#include "drift/malloc_layout.h"
#include "drift/malloc_report.h"
#include "test/buffer_state.h"
#include "test/malloc_blocks.h"

namespace memdrift {

namespace {

void held(Expected& expected) {
  Blocks blocks(50'000);
  for (size_t i = 0; i < blocks.size(); i++) {
    const size_t bytes = someBytes(16, 3000);
    blocks[i] = filled(bytes);
    expected.in_use_bytes += chunkBytes(bytes);
  }
}

// Every `pin`th stays.
void freeBehindPins(Expected& expected, Blocks blocks, size_t pin) {
  for (size_t i = 0; i < blocks.size(); i++) {
    const size_t bytes = someBytes(1100, 6000);
    blocks[i] = filled(bytes);
    (i % pin == 0 ? expected.in_use_bytes : expected.freed_bytes) += chunkBytes(bytes);
  }
  for (size_t i = 0; i < blocks.size(); i++)
    if (i % pin != 0) free(blocks[i]);
}

void pinned(Expected& expected) { freeBehindPins(expected, Blocks(40'000), 97); }

// Nearly all is free, and no page is.
void pinPerPage(Expected& expected) {
  constexpr size_t kPin = 24;
  constexpr size_t kRest = 4096 - 32 - 8;
  Blocks blocks(40'000);
  for (size_t i = 0; i < blocks.size(); i += 2) {
    blocks[i] = filled(kPin);
    blocks[i + 1] = filled(kRest);
    expected.in_use_bytes += chunkBytes(kPin);
    expected.freed_bytes += chunkBytes(kRest);
  }
  for (size_t i = 1; i < blocks.size(); i += 2) free(blocks[i]);
}

void trimmed(Expected& expected) {
  pinned(expected);
  malloc_trim(0);
}

// Freed blocks that stay in fast bins look in use to a walk that does not know them; a trim merges
// them. The last one is not freed: a merge with the top is another state.
void fastBins(Expected& expected) {
  mallopt(M_MXFAST, 128);
  constexpr size_t kBytes = 100;
  Blocks blocks(300'000);
  for (size_t i = 0; i < blocks.size(); i++) blocks[i] = filled(kBytes);
  for (size_t i = 0; i + 1 < blocks.size(); i++) free(blocks[i]);
  expected.freed_bytes = chunkBytes(kBytes) * (blocks.size() - 1);
}

// The same up to the top, which they become a part of.
void fastBinsAtTop(Expected& expected) {
  constexpr size_t kBytes = 100;
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Blocks blocks(300'000);
  for (size_t i = 0; i < blocks.size(); i++) blocks[i] = filled(kBytes);
  for (size_t i = 0; i < blocks.size(); i++) free(blocks[i]);
  expected.freed_bytes = chunkBytes(kBytes) * blocks.size();
}

std::atomic<int> g_ready{0};

void waitForThreads(int count) {
  while (g_ready.load() != count) usleep(1000);
}

// Threads that stay, each after `work`.
template <typename Work>
void startThreads(int count, Work work) {
  for (int i = 0; i < count; i++) {
    std::thread([work, i] {
      work(i);
      g_ready.fetch_add(1);
      for (;;) pause();
    }).detach();
  }
  waitForThreads(count);
}

// Seven of each size from 24 to 1032 bytes are kept by each thread's cache.
void threadCaches(Expected& expected) {
  constexpr int kThreads = 20;
  constexpr int kEach = 7;
  startThreads(kThreads, [](int) {
    for (size_t bytes = 24; bytes <= 1032; bytes += 16) {
      char* blocks[kEach];
      for (char*& block : blocks) block = filled(bytes);
      for (char* block : blocks) free(block);
    }
  });
  for (size_t bytes = 24; bytes <= 1032; bytes += 16)
    expected.freed_bytes += uint64_t{kThreads} * kEach * chunkBytes(bytes);
}

// Of some, more than one piece of 64 MiB.
void arenas(Expected& expected) {
  constexpr int kThreads = 6;
  std::vector<Expected> of_threads(kThreads);
  startThreads(kThreads, [&](int i) {
    freeBehindPins(of_threads[static_cast<size_t>(i)], Blocks(i % 2 == 0 ? 40'000 : 5'000),
                   static_cast<size_t>(50 + i * 20));
  });
  for (const Expected& one : of_threads) {
    expected.in_use_bytes += one.in_use_bytes;
    expected.freed_bytes += one.freed_bytes;
  }
}

void largeTop(Expected& expected) {
  mallopt(M_TRIM_THRESHOLD, 1 << 30);
  Blocks blocks(2'000);
  for (size_t i = 0; i < blocks.size(); i++) blocks[i] = filled(40'000);
  for (size_t i = 0; i < blocks.size(); i++) free(blocks[i]);
  expected.freed_bytes = chunkBytes(40'000) * blocks.size();
}

// Half of each is touched.
void mapped(Expected&) {
  for (size_t i = 0; i < 20; i++) {
    auto* const block = static_cast<char*>(malloc(8 << 20));
    memset(block, 1, 4 << 20);
  }
}

// Somebody else moves brk() too: glibc goes on behind it.
void otherBrk(Expected& expected) {
  held(expected);
  memset(sbrk(100'000), 1, 100'000);
  Expected after;
  freeBehindPins(after, Blocks(5'000), 50);
  expected.in_use_bytes += after.in_use_bytes;
  expected.freed_bytes += after.freed_bytes;
}

// A mapping is in the way of brk(): the main arena goes on in mappings of its own.
void blockedBrk(Expected& expected) {
  held(expected);
  const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE;
  if (mmap(sbrk(0), 4096, PROT_NONE, flags, -1, 0) == MAP_FAILED) abort();
  Expected after;
  freeBehindPins(after, Blocks(20'000), 50);
  expected.in_use_bytes += after.in_use_bytes;
  expected.freed_bytes += after.freed_bytes;
}

using State = void (*)(Expected&);
const std::map<std::string_view, State> kStates = {
    {"arenas", arenas},
    {"blocked-brk", blockedBrk},
    {"fast", fastBins},
    {"fast-top", fastBinsAtTop},
    {"held", held},
    {"mapped", mapped},
    {"other-brk", otherBrk},
    {"pin-per-page", pinPerPage},
    {"buffers", buffers},
    {"pinned", pinned},
    {"thread-caches", threadCaches},
    {"top", largeTop},
    {"trimmed", trimmed},
};

// Without malloc.
uint64_t rssBytes() {
  static char text[4096];
  const int fd = open("/proc/self/smaps_rollup", O_RDONLY);
  const ssize_t size = read(fd, text, sizeof text - 1);
  close(fd);
  if (size < 0) abort();
  const char* const rss = strstr(text, "Rss:");
  return strtoul(rss + 4, nullptr, 10) * 1024;
}

Part& operator+=(Part& sum, const Part& part) {
  sum.bytes += part.bytes;
  sum.resident_bytes += part.resident_bytes;
  return sum;
}

void print(const char* name, uint64_t value) { printf("%s=%lu\n", name, value); }

void print(const MallocReport& report) {
  printf("why_not=%s\nwhy_estimated=%s\n", report.why_not.c_str(), report.why_estimated.c_str());
  Part parts[7] = {};
  for (const ArenaReport& arena : report.arenas) {
    const ArenaFigures& figures = arena.figures;
    const Part of_arena[] = {figures.all,  figures.in_use, figures.thread_cache, figures.fast,
                             figures.free, figures.top,    figures.other};
    for (size_t i = 0; i < 7; i++) parts[i] += of_arena[i];
  }
  const char* const names[] = {"all", "in_use", "cache", "fast", "free", "top", "other"};
  for (size_t i = 0; i < 7; i++) {
    printf("%s=%lu\n%s_resident=%lu\n", names[i], parts[i].bytes, names[i],
           parts[i].resident_bytes);
  }
  uint64_t in_arenas = 0;
  uint64_t loose_end_bytes = 0;
  uint64_t large_hole_bytes = 0;
  for (const ArenaReport& arena : report.arenas) {
    in_arenas += arena.figures.buffers.bytes;
    loose_end_bytes += arena.figures.loose_end_bytes;
    large_hole_bytes += arena.figures.large_hole_bytes;
  }
  print("loose_end", loose_end_bytes);
  print("large_hole", large_hole_bytes);
  print("buffers", report.buffers.count);
  print("buffers_in_arenas", in_arenas);
  print("buffers_in_blocks", report.buffers.in_blocks.bytes);
  print("buffers_in_blocks_resident", report.buffers.in_blocks.resident_bytes);
  print("buffers_elsewhere", report.buffers_elsewhere.size());
  for (const AddressRange& range : report.buffers_elsewhere)
    print("elsewhere_bytes", range.end - range.start);
  print("arenas", report.arenas.size());
  print("caches", report.thread_caches);
  print("trim", report.trim_bytes);
  if (report.mapped) {
    print("mapped_count", report.mapped->count);
    print("mapped", report.mapped->bytes);
    print("mapped_resident", report.mapped->resident_bytes.value_or(~uint64_t{0}));
  }
  printf("fork_ms=%.2f\nwalk_ms=%.2f\n", report.fork_ms, report.walk_ms);
}

int showState(State state) {
  Expected expected;
  state(expected);
  const MallocReport report = readOwnMalloc();
  const uint64_t before = rssBytes();
  malloc_trim(0);
  const uint64_t after = rssBytes();
  print(report);
  print("returned", before > after ? before - after : 0);
  print("expected_in_use", expected.in_use_bytes);
  print("expected_freed", expected.freed_bytes);
  print("expected_buffers", expected.buffer_bytes);
  return 0;
}

// Threads allocate, free and pass on as fast as they can; each look must find a whole heap.
int showBusy(int looks) {
  static std::atomic<char*> slots[4096];
  for (int i = 0; i < 3; i++) {
    std::thread([] {
      for (;;) {
        const size_t bytes = someBytes(8, someBytes(9, 100) < 20 ? 200'000 : 2'000);
        free(slots[someBytes(0, 4096)].exchange(static_cast<char*>(malloc(bytes))));
      }
    }).detach();
  }
  int whole = 0;
  std::string last;
  for (int i = 0; i < looks; i++) {
    const MallocReport report = readOwnMalloc();
    if (report.is_walked && report.why_estimated.empty())
      whole++;
    else
      last = report.why_not + report.why_estimated;
  }
  printf("whole=%d\nlast=%s\n", whole, last.c_str());
  fflush(stdout);
  _exit(0);
}

// Writes over a word of a heap, of chunks' headers mostly. Whatever the look then says, the process
// that looks goes on. It is the heap of another thread, since the looker's own malloc ends a
// program whose heap is broken, and each time in a child, whose memory is its own.
int showCorrupt(int looks) {
  Expected expected;
  Blocks blocks(20'000);
  constexpr size_t kPin = 3;
  startThreads(1, [&](int) { freeBehindPins(expected, blocks, kPin); });
  const StateLayout& layout = findAllocator().version.state();
  auto* const state = reinterpret_cast<uint64_t*>(readOwnMalloc().arenas.at(1).figures.address);
  int went_on = 0;
  int exact = 0;
  for (int i = 0; i < looks; i++) {
    const size_t pin = someBytes(0, blocks.size() / kPin) * kPin;
    const size_t kind = someBytes(0, 7);
    const uint64_t bit = someBytes(3, 40);
    const uint64_t number = someBytes(0, 1 << 24);
    // Behind its lock and before its list of arenas: without those no fork() returns.
    const size_t place = someBytes(layout.top_at / 8, layout.next_at / 8 - 4);
    const pid_t pid = fork();
    if (pid == 0) {
      uint64_t* const header = reinterpret_cast<uint64_t*>(blocks[pin]) - 1;
      const uint64_t values[] = {0,      ~uint64_t{0}, *header ^ (1ULL << bit), *header + 16,
                                 number, *header ^ 1};
      if (kind < std::size(values))
        *header = values[kind];
      else
        state[place] = reinterpret_cast<uint64_t>(blocks[pin]) + number % 64;
      const MallocReport report = readOwnMalloc();
      _exit(report.is_walked && report.why_estimated.empty() ? 1 : 0);
    }
    int status = 0;
    waitpid(pid, &status, 0);
    went_on += WIFEXITED(status);
    exact += WIFEXITED(status) && WEXITSTATUS(status) == 1;
  }
  printf("went_on=%d\nexact=%d\n", went_on, exact);
  fflush(stdout);
  _exit(0);
}

// A list of malloc's own that has no end: malloc's count of its bytes does not return.
int showEndless() {
  Expected expected;
  startThreads(1, [&](int) { freeBehindPins(expected, Blocks(20'000), 3); });
  const auto* state = reinterpret_cast<uint64_t*>(readOwnMalloc().arenas.at(1).figures.address);
  auto* const last_free =
      reinterpret_cast<uint64_t*>(state[findAllocator().version.state().bins_at / 8 + 1]);
  last_free[3] = reinterpret_cast<uint64_t>(last_free);
  print(readOwnMalloc());
  print("expected_freed", expected.freed_bytes);
  fflush(stdout);
  _exit(0);
}

int run(int count, char** arguments) {
  if (count < 2) return 2;
  const std::string_view state = arguments[1];
  if (state == "busy") return showBusy(200);
  if (state == "corrupt") return showCorrupt(200);
  if (state == "endless") return showEndless();
  if (state == "allocator") {
    const MallocReport report = readOwnMalloc();
    printf("allocator=%s\nwhy_not=%s\n", report.allocator.c_str(), report.why_not.c_str());
    return 0;
  }
  const auto found = kStates.find(state);
  return found == kStates.end() ? 2 : showState(found->second);
}

}  // namespace

}  // namespace memdrift

int main(int count, char** arguments) { return memdrift::run(count, arguments); }
