// SPDX-License-Identifier: MIT
// Reads words and numbers from one line of kernel text. No allocation; bounds are checked; nothing
// depends on the locale.
#pragma once

#include <cstdint>
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
  static int digitOf(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return 16;
  }

  template <int base>
  bool digits(uint64_t& value) {
    const char* at = at_;
    uint64_t result = 0;
    for (; at < end_ && digitOf(*at) < base; at++) {
      const uint64_t digit = static_cast<uint64_t>(digitOf(*at));
      if (result > (UINT64_MAX - digit) / base) return false;
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
