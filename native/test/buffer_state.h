// SPDX-License-Identifier: MIT
// A heap as V8 leaves it that has ArrayBuffers.
#pragma once

#include <sys/mman.h>

#include "test/malloc_blocks.h"

namespace memdrift {

// As V8 has its ArrayBuffers' contents: an object for each, in malloc's memory as they are. One
// content is touched in half of its pages, one is of nobody's, one is mapped by somebody else, and
// one object is of memory that two of them would have.
inline void buffers(Expected& expected) {
  const auto store = [](void* start, uint64_t length, uint64_t most, uint64_t capacity) {
    auto* const words = reinterpret_cast<uint64_t*>(filled(72));
    words[0] = reinterpret_cast<uint64_t>(start);
    words[1] = length;
    words[2] = most;
    words[3] = capacity;
    // What nobody reads, the compiler leaves out.
    asm volatile("" : : "r"(words), "r"(start) : "memory");
  };
  for (int i = 0; i < 1000; i++) {
    const size_t bytes = someBytes(1, 20'000);
    char* const content = filled(bytes);
    store(content, bytes, bytes, bytes);
    if (i % 10 == 0) store(content, bytes, bytes, bytes);
    expected.in_use_bytes += chunkBytes(bytes);
    expected.buffer_bytes += chunkBytes(bytes);
  }
  constexpr size_t kLarge = 8 << 20;
  auto* const large = static_cast<char*>(malloc(kLarge));
  memset(large, 1, kLarge / 2);
  store(large, kLarge, kLarge, kLarge);
  // A part of a block is no content that malloc has a size of.
  char* const whole = filled(100'000);
  store(whole + 4096, 50'000, 50'000, 50'000);
  expected.in_use_bytes += chunkBytes(100'000);
  // Of a growing one: what it may become is mapped.
  void* const mapped = mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  store(mapped, 100'000, 1'000'000, (1'000'000 + 4095) & ~4095);
  // Words that look like it, but are addresses.
  store(mapped, reinterpret_cast<uint64_t>(mapped), reinterpret_cast<uint64_t>(mapped) + 4096,
        reinterpret_cast<uint64_t>(mapped) + 8192);
}

}  // namespace memdrift
