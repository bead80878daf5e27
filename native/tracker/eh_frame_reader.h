// SPDX-License-Identifier: MIT
// Numbers and pointers of .eh_frame and .eh_frame_hdr, as the Linux Standard Base defines them.
#pragma once

#include <cstdint>

#include "tracker/frame_bytes.h"

namespace memdrift {

// Encodings of pointers: DW_EH_PE_*.
inline constexpr uint8_t kAbsolute = 0x00;
inline constexpr uint8_t kUnsigned4 = 0x03;
inline constexpr uint8_t kUnsigned8 = 0x04;
inline constexpr uint8_t kSigned4 = 0x0b;
inline constexpr uint8_t kSigned8 = 0x0c;
inline constexpr uint8_t kRelativeToHere = 0x10;
inline constexpr uint8_t kRelativeToTable = 0x30;
inline constexpr uint8_t kOmitted = 0xff;

// Reads values one after another from an address; reads zeros past the end of the readable bytes.
class EhFrameReader {
 public:
  EhFrameReader(FrameBytes& bytes, uintptr_t at) : bytes_(bytes), at_(at) {}

  template <typename Number>
  Number take() {
    Number value = 0;
    bytes_.read(at_, &value, sizeof value);
    at_ += sizeof value;
    return value;
  }
  uint64_t uleb() {
    uint64_t value = 0;
    for (unsigned shift = 0;; shift += 7) {
      const uint8_t byte = take<uint8_t>();
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }
  int64_t sleb() {
    uint64_t value = 0;
    unsigned shift = 0;
    uint8_t byte;
    do {
      byte = take<uint8_t>();
      if (shift < 64) value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      shift += 7;
    } while (byte >= 0x80);
    if (shift < 64 && (byte & 0x40)) value |= ~uint64_t{0} << shift;
    return static_cast<int64_t>(value);
  }
  uintptr_t pointer(uint8_t encoding, uintptr_t table = 0) {
    const uintptr_t here = at_;
    uintptr_t value;
    switch (encoding & 0x0f) {
      case kUnsigned4:
        value = take<uint32_t>();
        break;
      case kSigned4:
        value = static_cast<uintptr_t>(static_cast<intptr_t>(take<int32_t>()));
        break;
      case kAbsolute:
      case kUnsigned8:
      case kSigned8:
        value = take<uintptr_t>();
        break;
      default:
        return 0;
    }
    if ((encoding & 0x70) == kRelativeToHere) return value + here;
    if ((encoding & 0x70) == kRelativeToTable) return value + table;
    return value;
  }
  uintptr_t at() const { return at_; }
  // Forwards only: a length that wraps around would make a damaged table endless.
  void skip(uint64_t bytes) {
    if (bytes > UINT64_MAX - at_) bytes_.fail();
    at_ += bytes;
  }
  bool hasFailed() const { return bytes_.hasFailed(); }

 private:
  FrameBytes& bytes_;
  uintptr_t at_;
};

}  // namespace memdrift
