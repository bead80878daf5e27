// SPDX-License-Identifier: MIT
// What V8's sampling heap profiler said at one moment: which functions' objects live.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "capture/format.h"
#include "capture/varint.h"

namespace memdrift {

// A function, called by that of `parent`.
struct JsHeapNode {
  uint32_t parent = 0;    // a node before this one, counted from 1; 0: none
  uint32_t function = 0;  // a text
  uint32_t file = 0;      // a text
  uint32_t line = 0;      // of its definition, from 1; 0: not known
  uint32_t column = 0;
  uint64_t bytes = 0;  // of objects that it made itself: what samples stand for
};

// V8's own counts at the same moment. Payloads of earlier writers lack them.
struct JsHeapTotals {
  uint64_t total_bytes = kUnknown;   // of the sampled isolate, free room included
  uint64_t used_bytes = kUnknown;    // part of total_bytes that objects take
  uint64_t others_bytes = kUnknown;  // total of all other isolates
};

struct JsHeapProfile {
  uint64_t time_ns = 0;
  JsHeapTotals totals;
  std::vector<std::string_view> texts;
  std::vector<JsHeapNode> nodes;
};

inline void putJsHeap(const JsHeapProfile& profile, std::string& to) {
  const auto putNumber = [&](uint64_t number) {
    uint8_t bytes[kMaxVarintBytes];
    const uint8_t* end = putVarint(bytes, number);
    to.append(reinterpret_cast<char*>(bytes), static_cast<size_t>(end - bytes));
  };
  putNumber(profile.time_ns);
  putNumber(profile.texts.size());
  for (const std::string_view text : profile.texts) {
    putNumber(text.size());
    to.append(text);
  }
  putNumber(profile.nodes.size());
  for (const JsHeapNode& node : profile.nodes) {
    for (const uint32_t number : {node.parent, node.function, node.file, node.line, node.column})
      putNumber(number);
    putNumber(node.bytes);
  }
  for (const uint64_t number :
       {profile.totals.total_bytes, profile.totals.used_bytes, profile.totals.others_bytes})
    putNumber(number);
}

// Null, or what is wrong with it. The texts are the payload's.
inline const char* takeJsHeap(std::string_view payload, JsHeapProfile& profile) {
  const auto* begin = reinterpret_cast<const uint8_t*>(payload.data());
  const uint8_t* end = begin + payload.size();
  VarintReader from(begin, end);
  profile = {};
  profile.time_ns = from.varint();
  const uint64_t text_count = from.varint();
  for (uint64_t i = 0; i < text_count && !from.failed(); i++) {
    const uint64_t bytes = from.varint();
    if (from.failed() || static_cast<size_t>(end - from.at()) < bytes)
      return "a text of the JavaScript heap is cut off";
    profile.texts.emplace_back(reinterpret_cast<const char*>(from.at()), bytes);
    from = VarintReader(from.at() + bytes, end);
  }
  const uint64_t node_count = from.varint();
  for (uint64_t i = 0; i < node_count && !from.failed(); i++) {
    JsHeapNode node;
    for (uint32_t* to : {&node.parent, &node.function, &node.file, &node.line, &node.column})
      *to = from.varint32();
    node.bytes = from.varint();
    if (node.parent > i || node.function >= profile.texts.size() ||
        node.file >= profile.texts.size())
      return "a node of the JavaScript heap names what is not there";
    profile.nodes.push_back(node);
  }
  JsHeapTotals& totals = profile.totals;
  if (!from.failed() && from.at() != end)
    for (uint64_t* to : {&totals.total_bytes, &totals.used_bytes, &totals.others_bytes})
      *to = from.varint();
  return from.failed() || from.at() != end ? "the JavaScript heap is cut off" : nullptr;
}

}  // namespace memdrift
