// SPDX-License-Identifier: MIT
// Reads words and numbers from one line of kernel text. No allocation; bounds are checked; nothing
// depends on the locale.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace memdrift {

class Scanner {
 public:
  explicit Scanner(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool atEnd() const { return at_ == end_; }
  std::string_view rest() const { return {at_, static_cast<size_t>(end_ - at_)}; }

  void skipBlanks() {
    while (at_ < end_ && (*at_ == ' ' || *at_ == '\t')) at_++;
  }

  void skipSpaces() {
    while (at_ < end_ && *at_ == ' ') at_++;
  }

  bool skip(char expected) {
    if (at_ == end_ || *at_ != expected) return false;
    at_++;
    return true;
  }

  std::string_view word() {
    skipBlanks();
    const char* begin = at_;
    while (at_ < end_ && *at_ != ' ' && *at_ != '\t') at_++;
    return {begin, static_cast<size_t>(at_ - begin)};
  }

  // False, and nothing consumed, when there is no digit here or the number passes 64 bits.
  bool decimal(uint64_t& value) { return digits<10>(value); }
  bool hexadecimal(uint64_t& value) { return digits<16>(value); }

 private:
  static constexpr std::array<uint8_t, 256> kDigits = [] {
    std::array<uint8_t, 256> digits;
    digits.fill(UINT8_MAX);
    for (int i = 0; i < 10; i++) digits[static_cast<size_t>('0' + i)] = static_cast<uint8_t>(i);
    for (int i = 0; i < 6; i++) digits[static_cast<size_t>('a' + i)] = static_cast<uint8_t>(10 + i);
    return digits;
  }();

  // All at once: addresses are most of what there is to parse in a line of maps. False when one of
  // the eight is no digit, and on big-endian machines.
  static bool eightHexDigits(const char* at, uint64_t& value) {
    if constexpr (std::endian::native != std::endian::little) return false;
    constexpr uint64_t kEach = 0x0101010101010101;
    uint64_t text;
    memcpy(&text, at, sizeof text);
    const uint64_t letters = text >> 6 & kEach;  // 'a' is 0x61, '0' is 0x30
    uint64_t nibbles = (text & 0x0f * kEach) + 9 * letters;
    const bool valid = (text & 0xf0 * kEach) == 0x30 * kEach + 0x30 * letters &&
                       (nibbles & 0xf0 * kEach) == 0 &&
                       ((nibbles + 6 * kEach) & 0x10 * kEach) == 0x10 * letters;
    if (!valid) return false;
    nibbles = (nibbles << 4 | nibbles >> 8) & 0x00ff00ff00ff00ff;
    nibbles = (nibbles << 8 | nibbles >> 16) & 0x0000ffff0000ffff;
    value = (nibbles << 16 | nibbles >> 32) & 0xffffffff;
    return true;
  }

  template <unsigned base>
  bool digits(uint64_t& value) {
    constexpr int kAlwaysFit = base == 16 ? 16 : 19;
    const char* at = at_;
    uint64_t result = 0;
    int count = 0;
    if (base == 16 && end_ - at >= 8 && eightHexDigits(at, result)) at += 8, count = 8;
    for (; at < end_; at++, count++) {
      const unsigned digit = kDigits[static_cast<unsigned char>(*at)];
      if (digit >= base) break;
      if (count >= kAlwaysFit && result > (UINT64_MAX - digit) / base) return false;
      result = result * base + digit;
    }
    if (at == at_) return false;
    value = result;
    at_ = at;
    return true;
  }

  const char* at_;
  const char* end_;
};

}  // namespace memdrift
