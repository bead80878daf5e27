// SPDX-License-Identifier: MIT
#include "experiment/pattern.h"

#include <bit>
#include <cstring>

namespace memdrift {

static_assert(std::endian::native == std::endian::little, "words are stored little-endian");

namespace {

// Words checked between two looks at the result: long enough for the compiler to vectorise the
// loop, short enough that finding the byte afterwards costs nothing.
constexpr size_t kBlockWords = 4096;

// A word of memory that was written as bytes: without may_alias the compiler may not assume what is
// there, and with memcpy per word it does not vectorise the loops.
typedef uint64_t Word __attribute__((may_alias, aligned(1)));

uint64_t differingBits(const unsigned char* bytes, size_t words, uint64_t first) noexcept {
  const Word* word = reinterpret_cast<const Word*>(bytes);
  uint64_t difference = 0;
  uint64_t expected = first;
  for (size_t i = 0; i < words; i++, expected += kPatternStride) difference |= word[i] ^ expected;
  return difference;
}

size_t firstDifferingByte(const unsigned char* bytes, size_t size, uint64_t first) noexcept {
  for (size_t i = 0; i < size; i++) {
    const uint64_t word = first + (i / sizeof(uint64_t)) * kPatternStride;
    if (bytes[i] != static_cast<unsigned char>(word >> (8 * (i % sizeof(uint64_t))))) return i;
  }
  return size;
}

}  // namespace

void patternFill(unsigned char* bytes, size_t size, uint64_t key) noexcept {
  const size_t words = size / sizeof(uint64_t);
  Word* word = reinterpret_cast<Word*>(bytes);
  uint64_t next = key;
  for (size_t i = 0; i < words; i++, next += kPatternStride) word[i] = next;
  const uint64_t last = next;
  const size_t rest = size % sizeof(last);
  // An empty array has no address.
  if (rest > 0) memcpy(bytes + words * sizeof(last), &last, rest);
}

size_t patternMismatch(const unsigned char* bytes, size_t size, uint64_t key) noexcept {
  const size_t block_bytes = kBlockWords * sizeof(uint64_t);
  size_t done = 0;
  for (; size - done >= block_bytes; done += block_bytes) {
    const uint64_t first = key + (done / sizeof(uint64_t)) * kPatternStride;
    if (differingBits(bytes + done, kBlockWords, first) != 0)
      return done + firstDifferingByte(bytes + done, block_bytes, first);
  }
  const uint64_t first = key + (done / sizeof(uint64_t)) * kPatternStride;
  return done + firstDifferingByte(bytes + done, size - done, first);
}

}  // namespace memdrift
