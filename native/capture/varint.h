// SPDX-License-Identifier: MIT
// Numbers of a stream: seven bits a byte, the lowest first; the top bit says that more follow.
#pragma once

#include <cstdint>

namespace memdrift {

inline constexpr int kMaxVarintBytes = 10;

inline uint8_t* putVarint(uint8_t* at, uint64_t value) noexcept {
  while (value >= 0x80) {
    *at++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *at++ = static_cast<uint8_t>(value);
  return at;
}

// Small numbers of either sign: 0, -1, 1, -2, ... become 0, 1, 2, 3, ...
inline constexpr uint64_t zigzag(int64_t value) noexcept {
  return static_cast<uint64_t>(value) << 1 ^ static_cast<uint64_t>(value >> 63);
}
inline constexpr int64_t unzigzag(uint64_t value) noexcept {
  return static_cast<int64_t>(value >> 1 ^ (0 - (value & 1)));
}

// An address by its distance from the last one. Most are multiples of 16: those by their sixteenth
// plus one; the others by a 0 and the distance itself.
inline uint8_t* putAddress(uint8_t* at, uint64_t address, uint64_t last) noexcept {
  const auto distance = static_cast<int64_t>(address - last);
  if ((distance & 15) == 0) [[likely]]
    return putVarint(at, zigzag(distance >> 4) + 1);
  *at++ = 0;
  return putVarint(at, zigzag(distance));
}

// Reads what the functions above wrote. Nothing is read from `end` on; after a failure every
// further number is 0.
class VarintReader {
 public:
  VarintReader(const uint8_t* at, const uint8_t* end) : at_(at), end_(end) {}

  const uint8_t* at() const noexcept { return at_; }
  bool failed() const noexcept { return failed_; }

  uint8_t byte() noexcept {
    if (at_ == end_) return fail();
    return *at_++;
  }
  uint64_t varint() noexcept {
    if (at_ != end_ && *at_ < 0x80) return *at_++;
    return longVarint();
  }
  uint32_t varint32() noexcept {
    const uint64_t value = varint();
    return value <= UINT32_MAX ? static_cast<uint32_t>(value) : fail();
  }
  int64_t delta() noexcept { return unzigzag(varint()); }
  uint64_t address(uint64_t last) noexcept {
    const uint64_t value = varint();
    if (value != 0) return last + (static_cast<uint64_t>(unzigzag(value - 1)) << 4);
    return last + static_cast<uint64_t>(delta());
  }
  uint8_t fail() noexcept {
    failed_ = true;
    at_ = end_;
    return 0;
  }

 private:
  uint64_t longVarint() noexcept {
    uint64_t value = 0;
    for (int shift = 0; shift < 64 && at_ != end_; shift += 7) {
      const uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) break;  // more than 64 bits
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool failed_ = false;
};

}  // namespace memdrift
