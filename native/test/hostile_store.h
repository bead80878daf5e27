// SPDX-License-Identifier: MIT
// A store for tests of what happens when somebody else writes to its table.
#pragma once

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "shm/store.h"

namespace memdrift {

inline constexpr uint64_t kCapacityBytes = 1 << 20;
inline constexpr uint64_t kTimeoutUs = 200'000;
inline constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;

inline std::shared_ptr<Store> makeStore(const AttachOptions& attach = {}) {
  static std::atomic<int> count{0};
  return Store::create({"gtest-hostile-" + std::to_string(getpid()) + "-" + std::to_string(count++),
                        kCapacityBytes, Placement::kLowest, true},
                       attach);
}

inline AttachOptions mappingEach() {
  AttachOptions attach;
  attach.whole_arena = false;
  return attach;
}

// The table as whoever can open the file sees it.
class OpenTable {
 public:
  explicit OpenTable(const Store& store)
      : mapping_({store.segment().fd(), 0, kArenaOffset, PROT_READ | PROT_WRITE, MAP_SHARED}) {}

  unsigned char* bytes() const { return mapping_.data(); }
  StoreHeader& header() const {
    return *reinterpret_cast<StoreHeader*>(bytes() + kStoreHeaderOffset);
  }
  ObjectSlot& slot(uint64_t id) const {
    return reinterpret_cast<ObjectSlot*>(bytes() + kObjectsOffset)[id % kMaxObjects];
  }

 private:
  Mapping mapping_;
};

// Memory that others may write to at the same time.
inline void fill(const Room& room) {
  for (uint64_t at = 0; at < room.size_bytes; at++)
    __atomic_store_n(room.bytes + at, static_cast<unsigned char>(at), __ATOMIC_RELAXED);
}

inline uint64_t sumOf(const View& view) {
  uint64_t sum = 0;
  for (uint64_t at = 0; at < view.size_bytes; at++)
    sum += __atomic_load_n(view.bytes + at, __ATOMIC_RELAXED);
  return sum;
}

}  // namespace memdrift
