// SPDX-License-Identifier: MIT
#include "shm/placement.h"

#include <algorithm>

namespace memdrift {

namespace {

constexpr uint64_t kWindowFactor = 3;

struct Window {
  uint64_t from, to;
};

// The lowest place in the window that a gap has room for.
std::optional<uint64_t> firstFit(const std::vector<Extent>& gaps, uint64_t extent_bytes,
                                 const Window& window) {
  for (const Extent& gap : gaps) {
    const uint64_t start = std::max(gap.offset_bytes, window.from);
    const uint64_t end = std::min(gap.offset_bytes + gap.extent_bytes, window.to);
    if (start < end && end - start >= extent_bytes) return start;
  }
  return std::nullopt;
}

}  // namespace

std::vector<Extent> gapsBetween(const std::vector<Extent>& used, uint64_t capacity_bytes) {
  std::vector<Extent> gaps;
  uint64_t end = 0;
  for (const Extent& extent : used) {
    if (extent.offset_bytes > end) gaps.push_back({end, extent.offset_bytes - end});
    end = std::max(end, extent.offset_bytes + extent.extent_bytes);
  }
  if (end < capacity_bytes) gaps.push_back({end, capacity_bytes - end});
  return gaps;
}

std::optional<uint64_t> placeExtent(const PlacementRequest& request,
                                    const std::vector<Extent>& used) {
  const std::vector<Extent> gaps = gapsBetween(used, request.capacity_bytes);
  if (request.placement == Placement::kRotate) {
    uint64_t live_bytes = request.extent_bytes;
    for (const Extent& extent : used) live_bytes += extent.extent_bytes;
    const uint64_t end = std::min(request.capacity_bytes, kWindowFactor * live_bytes);
    // The cursor comes from shared memory: any value must give a whole page within the window.
    const uint64_t cursor = std::min(request.cursor_bytes, end) / kPageBytes * kPageBytes;
    if (auto place = firstFit(gaps, request.extent_bytes, {cursor, end})) return place;
    if (auto place = firstFit(gaps, request.extent_bytes, {0, end})) return place;
  }
  return firstFit(gaps, request.extent_bytes, {0, request.capacity_bytes});
}

}  // namespace memdrift
