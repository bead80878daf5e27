// SPDX-License-Identifier: MIT
// How a store that was made to evict makes room: the oldest sealed objects that nobody holds go.
#include <algorithm>

#include "errors.h"
#include "shm/store.h"

namespace memdrift {

namespace {

// The extents that are left when the first `count` of `going` are gone, by offset.
std::vector<Extent> without(const std::vector<Extent>& used, const std::vector<ObjectCopy>& going,
                            size_t count) {
  std::vector<uint64_t> offsets;
  for (size_t i = 0; i < count; i++) offsets.push_back(going[i].extent.offset_bytes);
  std::sort(offsets.begin(), offsets.end());
  std::vector<Extent> left;
  for (const Extent& extent : used) {
    if (!std::binary_search(offsets.begin(), offsets.end(), extent.offset_bytes))
      left.push_back(extent);
  }
  return left;
}

}  // namespace

// The oldest first; of one moment, the lowest slot.
std::vector<ObjectCopy> Store::evictable() const {
  std::vector<ObjectCopy> objects;
  Liveness alive = table_.liveness(client_);
  const uint32_t count = table_.objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = table_.read(index);
    if (object && object->state == ObjectState::kSealed && !table_.isHeld(index, alive))
      objects.push_back(*object);
  }
  std::stable_sort(objects.begin(), objects.end(), [](const ObjectCopy& a, const ObjectCopy& b) {
    return a.created_at_ns < b.created_at_ns;
  });
  return objects;
}

// How many of `going`, the oldest first, must go before there is a place for the request: each
// that goes leaves more room, so that halves tell. None if all of them are too few.
std::optional<size_t> Store::fewestToEvict(const PlacementRequest& place, const TableScan& scan,
                                           const std::vector<ObjectCopy>& going) const {
  const auto isEnough = [&](size_t count) {
    return placeExtent(place, without(scan.used, going, count)).has_value();
  };
  if (going.empty() || !isEnough(going.size())) return std::nullopt;
  // No slot is free: one must go even where there is room.
  size_t least = 1;
  size_t enough = going.size();
  while (least < enough) {
    const size_t middle = least + (enough - least) / 2;
    if (isEnough(middle))
      enough = middle;
    else
      least = middle + 1;
  }
  return enough;
}

// An object that somebody gets in this very moment stays his, and is gone for everybody else: its
// room is free when he releases it.
bool Store::evict(const StoreTable::Lock&, const PlacementRequest& place, const TableScan& scan) {
  const std::vector<ObjectCopy> going = evictable();
  const std::optional<size_t> count = fewestToEvict(place, scan, going);
  if (!count) return false;
  for (size_t i = 0; i < *count; i++) {
    if (table_.transition(going[i], ObjectState::kSealed, ObjectState::kDeleted))
      table_.header().evictions.add(1);
  }
  return true;
}

bool Store::evictBytes(uint64_t bytes, uint64_t lock_timeout_us) {
  const StoreTable::Lock lock(table_, lock_timeout_us);
  uint64_t evicted_bytes = 0;
  for (const ObjectCopy& object : evictable()) {
    if (evicted_bytes >= bytes) break;
    if (!table_.transition(object, ObjectState::kSealed, ObjectState::kDeleted)) continue;
    table_.header().evictions.add(1);
    evicted_bytes += object.extent.extent_bytes;
  }
  return evicted_bytes > 0;
}

}  // namespace memdrift
