// SPDX-License-Identifier: MIT
// The table of a store, read and changed in a way that survives the death of anybody at any time.
#pragma once

#include <atomic>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "shm/byte_lock.h"
#include "shm/mapping.h"
#include "shm/placement.h"
#include "shm/segment.h"
#include "shm/table.h"

namespace memdrift {

// A copy of one object slot, checked: its extent lies in the arena, its size in its extent, and its
// shape is that of its size.
struct ObjectCopy {
  uint32_t index;
  uint64_t generation;
  ObjectState state;
  uint64_t size_bytes;
  Extent extent;
  uint64_t created_at_ns;
  uint32_t creator;
  uint32_t creator_pid;
  Elements elements;
  uint64_t id() const { return idOf(generation, index); }
};

// Whether the elements fill exactly so many bytes.
bool isShapeOf(const Elements& elements, uint64_t size_bytes);

struct ClientCopy {
  uint32_t pid;
  std::string label;
};

inline constexpr uint32_t kNoClient = UINT32_MAX;
inline constexpr uint32_t kNoSlot = UINT32_MAX;

// What the slots say about the arena, as long as the lock under which it was read is held.
struct TableScan {
  std::vector<Extent> used;  // by offset, disjoint
  uint64_t used_bytes = 0;
  // Some of `used` is free room whose pages are given back right now: it is free in a moment.
  bool punching = false;
  uint32_t free_slot = kNoSlot;  // the lowest of those ever used
};

class StoreTable {
 public:
  struct Options {
    Placement placement;
    bool with_sites;
    WhenFull when_full;
  };

  // Lays the table out in a new segment. Throws ERR_FULL.
  static void format(Segment& segment, uint64_t capacity_bytes, const Options& options);

  // Maps the table of an existing store. Throws ERR_CORRUPT.
  StoreTable(Segment& segment, bool read_only);

  // Exclusive right to change slots, across processes and threads. The kernel gives it up when its
  // holder dies, and there is nothing to repair then: every change is one store of a state word.
  class Lock {
   public:
    // Throws ERR_BUSY when it is not to be had within `timeout_us`.
    Lock(StoreTable& table, uint64_t timeout_us);
    ~Lock();
    Lock(const Lock&) = delete;

   private:
    StoreTable& table_;
  };

  // Takes a client slot for this attachment, after clearing what a dead owner left in it.
  uint32_t attachClient(const Lock&, const std::string& label);
  // Needs no lock: all that it changes belongs to this client.
  void detachClient(uint32_t client);

  // Frees the slots of deleted objects that no live client holds, and of what dead clients had not
  // sealed. Looks at every slot that was ever used, 20 ns each. Throws ERR_CORRUPT.
  TableScan reclaim(const Lock&, uint32_t self);

  struct Claim {
    ObjectState state;
    uint64_t size_bytes;
    Extent extent;
    uint32_t creator;
    std::string site;
    Elements elements;
  };
  // Takes a free slot and makes it appear. `scan` is of the same lock. Throws ERR_FULL when all
  // slots are taken.
  ObjectCopy claim(const Lock&, const TableScan& scan, const Claim& claim);

  // Copies a slot; nothing if it is free or changes under our eyes. Throws ERR_CORRUPT.
  std::optional<ObjectCopy> read(uint32_t index) const;
  // The object of an id. Throws ERR_GONE for one that is not there any more, or never was.
  ObjectCopy find(uint64_t id) const;
  // One atomic step of an object from one state to another; false if it was not in `from`.
  bool transition(const ObjectCopy& object, ObjectState from, ObjectState to);
  // Makes the slot free unless its state is not what the copy says any more. The next claim moves
  // the generation on, so that the ids of this one are gone for ever.
  void release(const ObjectCopy& object);

  void addReference(uint32_t index, uint32_t client);
  void dropReference(uint32_t index, uint32_t client);
  void dropReferencesOf(uint32_t client);
  bool isHeld(uint32_t index, Liveness& liveness) const;
  std::vector<uint32_t> holders(uint32_t index, Liveness& liveness) const;

  // True for what takes room: not a deleted object that nobody holds, nor the rest of a dead
  // client.
  bool isLive(const ObjectCopy& object, Liveness& liveness) const;
  std::string siteOf(uint32_t index) const { return objectSlot(index).site.load(); }

  std::optional<ClientCopy> client(uint32_t index) const;
  Liveness liveness(uint32_t self) const { return Liveness(segment_.fd(), self); }
  // Throws ERR_CORRUPT if some of so many slots have no memory: to touch it could be SIGBUS.
  uint32_t objectsUsed() const;
  // Bytes of the segment that are not the arena's and have pages.
  uint64_t tableBytes() const;
  uint64_t capacityBytes() const { return capacity_bytes_; }
  Placement placement() const { return placement_; }
  bool withSites() const { return with_sites_; }
  WhenFull whenFull() const { return when_full_; }
  StoreHeader& header() const;

 private:
  ClientSlot& clientSlot(uint32_t index) const;
  ObjectSlot& objectSlot(uint32_t index) const;
  uint32_t addSlot();
  void clearAfter(uint32_t client);

  Segment& segment_;
  Mapping mapping_;
  uint64_t capacity_bytes_;
  Placement placement_;
  bool with_sites_;
  WhenFull when_full_;
  // So many slots were seen to have memory.
  mutable std::atomic<uint32_t> slots_seen_{0};
  // The file lock excludes other attachments, this one the threads of ours.
  std::mutex threads_;
};

}  // namespace memdrift
