// SPDX-License-Identifier: MIT
#include "capture/crc32c.h"

#include <array>
#include <cstring>

namespace memdrift {

namespace {

constexpr size_t kStep = 8;
using Tables = std::array<std::array<uint32_t, 256>, kStep>;

// Eight bytes at a time: table i is for the byte that i more bytes follow.
constexpr Tables kTables = [] {
  Tables tables{};
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t sum = byte;
    for (int bit = 0; bit < 8; bit++) sum = sum >> 1 ^ (sum & 1 ? 0x82f63b78U : 0);
    tables[0][byte] = sum;
  }
  for (size_t i = 1; i < kStep; i++)
    for (size_t byte = 0; byte < 256; byte++)
      tables[i][byte] = tables[i - 1][byte] >> 8 ^ tables[0][tables[i - 1][byte] & 0xff];
  return tables;
}();

uint32_t sumByTables(const uint8_t* at, size_t size, uint32_t sum) noexcept {
  for (; size >= kStep; at += kStep, size -= kStep) {
    uint64_t word;
    memcpy(&word, at, kStep);
    word ^= sum;
    sum = 0;
    for (size_t i = 0; i < kStep; i++) sum ^= kTables[kStep - 1 - i][word >> 8 * i & 0xff];
  }
  for (; size > 0; at++, size--) sum = sum >> 8 ^ kTables[0][(sum ^ *at) & 0xff];
  return sum;
}

#ifdef __x86_64__
// The same by the processor's own instruction, six times as fast.
__attribute__((target("sse4.2"))) uint32_t sumByProcessor(const uint8_t* at, size_t size,
                                                          uint32_t sum) noexcept {
  for (; size >= kStep; at += kStep, size -= kStep) {
    uint64_t word;
    memcpy(&word, at, kStep);
    sum = static_cast<uint32_t>(__builtin_ia32_crc32di(sum, word));
  }
  for (; size > 0; at++, size--) sum = __builtin_ia32_crc32qi(sum, *at);
  return sum;
}
#endif

}  // namespace

uint32_t crc32c(const void* data, size_t size, uint32_t before) noexcept {
  const auto* at = static_cast<const uint8_t*>(data);
#ifdef __x86_64__
  if (__builtin_cpu_supports("sse4.2")) return ~sumByProcessor(at, size, ~before);
#endif
  return ~sumByTables(at, size, ~before);
}

uint32_t crc32cByTables(const void* data, size_t size, uint32_t before) noexcept {
  return ~sumByTables(static_cast<const uint8_t*>(data), size, ~before);
}

}  // namespace memdrift
