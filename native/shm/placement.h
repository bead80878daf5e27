// SPDX-License-Identifier: MIT
// Where the next extent goes. Pure: extents in, offset out.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "shm/table.h"

namespace memdrift {

struct Extent {
  uint64_t offset_bytes;
  uint64_t extent_bytes;
};

struct PlacementRequest {
  Placement placement;
  uint64_t capacity_bytes;
  uint64_t extent_bytes;
  uint64_t cursor_bytes;  // with kRotate: where the previous extent ended
};

// The offset for a new extent, or nothing if no gap is large enough. `used` is sorted by offset and
// disjoint.
//
// kLowest is first fit from the bottom: places are used again while their pages are warm.
// kRotate is next fit from the cursor within a window of three times the live bytes (the new extent
// among them), and first fit above the window if it has no gap: an allocator that moves on, so that
// its users come to map several times what they hold.
std::optional<uint64_t> placeExtent(const PlacementRequest& request,
                                    const std::vector<Extent>& used);

// The gaps between the extents, from the bottom up to `capacity_bytes`.
std::vector<Extent> gapsBetween(const std::vector<Extent>& used, uint64_t capacity_bytes);

}  // namespace memdrift
