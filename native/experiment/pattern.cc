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

uint64_t differingBits(const unsigned char* bytes, size_t words, uint64_t first) noexcept {
  uint64_t difference = 0;
  for (size_t i = 0; i < words; i++) {
    uint64_t word;
    memcpy(&word, bytes + i * sizeof(word), sizeof(word));
    difference |= word ^ (first + i * kPatternStride);
  }
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
  for (size_t i = 0; i < words; i++) {
    const uint64_t word = key + i * kPatternStride;
    memcpy(bytes + i * sizeof(word), &word, sizeof(word));
  }
  const uint64_t last = key + words * kPatternStride;
  memcpy(bytes + words * sizeof(last), &last, size % sizeof(last));
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
