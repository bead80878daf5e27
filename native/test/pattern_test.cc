// SPDX-License-Identifier: MIT
#include "experiment/pattern.h"

#include <gtest/gtest.h>

#include <vector>

namespace memdrift {

TEST(Pattern, ChecksWhatItFilledAtEverySizeAroundABlock) {
  for (size_t size : {0, 1, 7, 8, 9, 32767, 32768, 32769, 100003}) {
    std::vector<unsigned char> bytes(size + 1, 0xAA);
    patternFill(bytes.data(), size, 42);
    EXPECT_EQ(patternMismatch(bytes.data(), size, 42), size);
    EXPECT_EQ(bytes[size], 0xAA) << "wrote past the end of " << size;
  }
}

TEST(Pattern, NamesTheByteThatWasFlipped) {
  std::vector<unsigned char> bytes(100003);
  for (size_t at : {size_t{0}, size_t{32767}, size_t{32768}, size_t{65541}, size_t{100002}}) {
    patternFill(bytes.data(), bytes.size(), 7);
    bytes[at] ^= 0x10;
    EXPECT_EQ(patternMismatch(bytes.data(), bytes.size(), 7), at);
  }
}

TEST(Pattern, DiffersInEveryWordBetweenKeys) {
  std::vector<unsigned char> bytes(4096);
  patternFill(bytes.data(), bytes.size(), 1);
  for (size_t word = 0; word < bytes.size() / 8; word++)
    EXPECT_LT(patternMismatch(bytes.data() + word * 8, 8, 2 + word * kPatternStride), size_t{8});
}

}  // namespace memdrift
