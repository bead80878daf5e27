// SPDX-License-Identifier: MIT
#include "capture/crc32c.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace memdrift {

namespace {

// The check value of the algorithm's catalogue, and RFC 3720, B.4.
TEST(Crc32c, IsThatOfTheStandard) {
  EXPECT_EQ(crc32c("123456789", 9), 0xe3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0').data(), 32), 0x8a9136aaU);
  EXPECT_EQ(crc32cByTables("123456789", 9), 0xe3069283U);
}

TEST(Crc32c, IsTheSameByTablesAndByTheProcessorInAnyPieces) {
  std::mt19937_64 random(1);
  std::string text(300, ' ');
  for (char& one : text) one = static_cast<char>(random());
  for (size_t size = 0; size <= text.size(); size++) {
    const uint32_t whole = crc32cByTables(text.data(), size);
    const size_t cut = size == 0 ? 0 : random() % size;
    EXPECT_EQ(crc32c(text.data(), size), whole);
    EXPECT_EQ(crc32c(text.data() + cut, size - cut, crc32c(text.data(), cut)), whole);
  }
}

}  // namespace

}  // namespace memdrift
