// SPDX-License-Identifier: MIT
// Lines of places in code: at which line the function is whose code it is, and which functions
// were compiled into it there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capture/varint.h"

namespace memdrift {

struct PlaceLine {
  uint32_t line = 0;  // that is being executed; 0: not known
  // Of a function that was compiled into the one before it; empty for the first, whose code it is.
  std::string_view function;
  std::string_view file;
};

// A place of a capture's code: `offset` as nodes of stacks have it.
struct PlaceLines {
  uint32_t code = 0;
  uint32_t offset = 0;
  std::vector<PlaceLine> lines;  // the outermost function first
};

// V8 inlines far less deep.
inline constexpr size_t kMostPlaceLines = 64;
inline constexpr size_t kMostLineTextBytes = 4096;

inline void putPlaceLines(const PlaceLines& place, std::string& to) {
  const auto putNumber = [&](uint64_t number) {
    uint8_t bytes[kMaxVarintBytes];
    const uint8_t* end = putVarint(bytes, number);
    to.append(reinterpret_cast<char*>(bytes), static_cast<size_t>(end - bytes));
  };
  const auto putText = [&](std::string_view text) {
    text = text.substr(0, kMostLineTextBytes);
    putNumber(text.size());
    to.append(text);
  };
  putNumber(place.code);
  putNumber(place.offset);
  putNumber(place.lines.size());
  for (const PlaceLine& line : place.lines) {
    putNumber(line.line);
    putText(line.function);
    putText(line.file);
  }
}

// Reads the record at `at` and moves behind it; null, or what is wrong with it.
inline const char* takePlaceLines(const uint8_t*& at, const uint8_t* end, PlaceLines& place) {
  VarintReader from(at, end);
  const auto takeText = [&] {
    const size_t bytes = from.varint32();
    if (from.failed() || static_cast<size_t>(end - from.at()) < bytes) {
      from.fail();
      return std::string_view();
    }
    const std::string_view text(reinterpret_cast<const char*>(from.at()), bytes);
    from = VarintReader(from.at() + bytes, end);
    return text;
  };
  place.code = from.varint32();
  place.offset = from.varint32();
  const uint32_t count = from.varint32();
  if (count == 0 || count > kMostPlaceLines) return "a place has no lines, or more than V8 inlines";
  place.lines.clear();
  for (uint32_t i = 0; i < count && !from.failed(); i++) {
    PlaceLine& line = place.lines.emplace_back();
    line.line = from.varint32();
    line.function = takeText();
    line.file = takeText();
  }
  if (from.failed()) return "a record of lines is cut off";
  at = from.at();
  return nullptr;
}

}  // namespace memdrift
