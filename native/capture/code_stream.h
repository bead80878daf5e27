// SPDX-License-Identifier: MIT
// Names of the code that stacks are in: functions that V8 compiled, and V8's own builtins.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "capture/format.h"
#include "capture/varint.h"

namespace memdrift {

struct CodeEvent {
  uint32_t number = 0;  // from 1; frames name it
  CodeKind kind = CodeKind::bytecode;
  uint32_t isolate = 0;
  std::string_view name;  // as V8 calls it, with a function's file, line and column
};

// Longer names are cut: they are data: URLs, as a rule.
inline constexpr size_t kMaxCodeNameBytes = 4096;

inline void putCode(const CodeEvent& event, std::string& to) {
  const std::string_view name = event.name.substr(0, kMaxCodeNameBytes);
  uint8_t head[1 + 3 * kMaxVarintBytes];
  uint8_t* at = head;
  *at++ = static_cast<uint8_t>(event.kind);
  at = putVarint(at, event.number);
  at = putVarint(at, event.isolate);
  at = putVarint(at, name.size());
  to.append(reinterpret_cast<char*>(head), static_cast<size_t>(at - head));
  to.append(name);
}

// Reads the record at `at` and moves behind it; null, or what is wrong with it.
inline const char* takeCode(const uint8_t*& at, const uint8_t* end, CodeEvent& event) {
  VarintReader from(at, end);
  const uint8_t kind = from.byte();
  if (kind < 1 || kind > kCodeKindCount) return "a code record is of no known kind";
  event.kind = static_cast<CodeKind>(kind);
  event.number = from.varint32();
  event.isolate = from.varint32();
  const size_t name_bytes = from.varint32();
  if (from.failed() || static_cast<size_t>(end - from.at()) < name_bytes)
    return "a code record is cut off";
  event.name = {reinterpret_cast<const char*>(from.at()), name_bytes};
  at = from.at() + name_bytes;
  return nullptr;
}

}  // namespace memdrift
