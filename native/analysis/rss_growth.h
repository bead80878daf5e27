// SPDX-License-Identifier: MIT
// How much a process's RSS has grown since it is tracked, and by what: of the look at which it was
// highest.
#pragma once

#include <cstdint>
#include <vector>

#include "analysis/live_memory.h"
#include "capture/format.h"

namespace memdrift {

struct GrowthPart {
  const char* cause;
  int64_t bytes;
  bool is_estimated;
};

struct Growth {
  uint64_t time_ns = 0;  // of the look; 0: there was none after the first
  uint64_t from_bytes = 0;
  uint64_t to_bytes = 0;
  std::vector<GrowthPart> parts;
  int64_t rest_bytes = 0;  // with the parts the whole growth
};

// Takes the rows of the memory series in their order.
class RssGrowth {
 public:
  // `blocks`: what those that are live then take.
  void add(const MemoryPayload& row, const BlockRoom& blocks);
  Growth highest() const;

 private:
  struct Look {
    MemoryPayload row;
    BlockRoom blocks;
  };

  bool has_first_ = false;
  bool has_highest_ = false;
  Look first_ = {};
  Look highest_ = {};
};

}  // namespace memdrift
