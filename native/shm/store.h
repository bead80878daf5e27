// SPDX-License-Identifier: MIT
// A store of sealed, immutable arrays in one segment, as one attachment sees it.
//
// An object is created with room in the arena, filled in place by its creator, sealed, then read by
// anybody; deleted, it is gone for new readers and its room is free once nobody holds it.
//
// Threads: every function may be called from any thread. create() and giveBack() make system calls
// that take as long as pages take to be allocated or freed; the rest is microseconds.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

#include "errors.h"
#include "shm/arena.h"
#include "shm/channel_table.h"
#include "shm/mapping.h"
#include "shm/segment.h"
#include "shm/store_table.h"

namespace memdrift {

struct StoreOptions {
  std::string name;
  uint64_t capacity_bytes;
  Placement placement = Placement::kLowest;
  bool with_sites = false;
  WhenFull when_full = WhenFull::kKeep;
};

struct AttachOptions {
  // Gives up this process's page-table entries at seal and release, so that its RSS falls.
  bool trim = false;
  // Only looks: takes no client slot, and can neither get nor create.
  bool read_only = false;
  // How people see this client in lists.
  std::string label;
  // False maps each object by itself, as happens where the kernel refuses to map the whole arena.
  bool whole_arena = true;
};

struct Room {
  uint64_t id;
  unsigned char* bytes;
  uint64_t size_bytes;
  // Keeps the bytes mapped past seal() and abort(), where they are a mapping of their own.
  std::shared_ptr<Mapping> own;
};

// A consumer's view of a sealed object: pages shared with everybody until it writes to them.
struct View {
  unsigned char* bytes;
  uint64_t size_bytes;
  Elements elements;
};

// What a producer still has of a place after the seal. Giving it up takes 8 ms per 100 MB, so the
// caller chooses the thread. It must have been given up before the Store ends.
class Leftover {
 public:
  Leftover() = default;
  explicit Leftover(ArenaPart part) : part_(std::move(part)) {}
  bool any() const noexcept { return part_.bytes != nullptr; }
  void giveUp() noexcept;

 private:
  ArenaPart part_;
};

struct Holder {
  uint32_t client;
  uint32_t pid;
  std::string label;
};

struct ObjectInfo {
  ObjectCopy object;
  std::string site;
  Holder creator;
  std::vector<Holder> holders;
};

struct StoreStats {
  uint64_t capacity_bytes;
  uint64_t live_bytes;   // sizes of the objects that take room
  uint64_t arena_bytes;  // their extents
  uint64_t resident_bytes;
  uint32_t objects;
  uint32_t clients;
  uint64_t puts;
  uint64_t gets;
  uint64_t evictions;
  Placement placement;
  WhenFull when_full;
};

class Store {
 public:
  // Throws ERR_EXISTS, ERR_FULL (capacity larger than /dev/shm or memory), ERR_INVALID.
  static std::shared_ptr<Store> create(const StoreOptions& options, const AttachOptions& attach);
  // Throws ERR_GONE, ERR_DENIED, ERR_MALFORMED, ERR_CORRUPT, ERR_FULL (no client slot free).
  static std::shared_ptr<Store> open(const std::string& name, const AttachOptions& attach);
  // Gives up references and unsealed objects; the last one out removes the segment.
  ~Store();

  struct CreateRequest {
    uint64_t size_bytes;
    std::string site;
    // How long to wait for the table's lock: little on an event loop, long on a pool thread.
    uint64_t lock_timeout_us;
    // Makes page-table entries for pages that exist, so that filling them takes no faults.
    bool populate;
    Elements elements = {};
  };
  // Throws ERR_INVALID (elements that do not fill the size), ERR_FULL (the store, or /dev/shm),
  // ERR_TOO_LARGE (more than the capacity), ERR_BUSY, ERR_NO_MEMORY, ERR_CORRUPT. Leaves nothing
  // behind then.
  Room create(const CreateRequest& request);
  // Throws ERR_STATE unless this attachment created it and has not sealed it. The bytes belong to
  // everybody afterwards: the caller must not write to them again.
  Leftover seal(uint64_t id);
  // Seals what goes in a message: the object is deleted from the start, and there for who takes it
  // while this reference, or another one, is held. In one step, so that wherever its creator dies
  // nothing of it stays. Throws as seal(), and ERR_NO_MEMORY; the object is lost then.
  Leftover sealHeld(uint64_t id);
  void abort(uint64_t id);

  // Takes a reference; several to the same object are counted here and are one for others. Throws
  // ERR_GONE, ERR_STATE (not sealed yet), ERR_NO_MEMORY.
  View get(uint64_t id);
  // As get(), and of an object that was deleted too, as long as its room is not used again: what a
  // message says is held by its sender. Throws ERR_GONE, ERR_STATE, ERR_NO_MEMORY, ERR_BUSY.
  View take(uint64_t id, uint64_t lock_timeout_us);
  // One more reference to what is held, deleted or not. Throws ERR_STATE when it is not held.
  void hold(uint64_t id);
  // A reference without a view, to what is held or can be got, until letGo(). Throws as get().
  void holdOrGet(uint64_t id);
  // Gives one up that holdOrGet() or sealHeld() gave. Throws ERR_STATE.
  void letGo(uint64_t id);
  // Makes page-table entries for all of what is held, and is until this ends, so that reading it
  // takes no faults. Throws ERR_STATE when it is not held.
  void populate(uint64_t id);
  // Gives one up. The last one with a view ends the view, and drops what was written to it. Throws
  // ERR_STATE.
  void release(uint64_t id);
  // Throws ERR_GONE, ERR_STATE (not sealed yet).
  void remove(uint64_t id);

  // Throws ERR_TOO_LARGE where objects are held a million times in all, ERR_CORRUPT.
  std::vector<ObjectInfo> list() const;
  StoreStats stats() const;

  // Punches holes into free room, from the top down, until at most `keep_bytes` of it have pages.
  // Returns the bytes given back. Throws ERR_BUSY, ERR_CORRUPT.
  uint64_t giveBack(uint64_t keep_bytes, uint64_t lock_timeout_us);

  // See ChannelTable.
  bool claimChannel(uint64_t key);
  void dropChannel(uint64_t key);
  ReceiverState receiver(uint64_t key) const;

  const Segment& segment() const { return *segment_; }
  bool withSites() const { return table_.withSites(); }
  // False where each view is a mapping of its own.
  bool mapsWholeArena() const { return consumer_.isWhole(); }

 private:
  // An object that this attachment fills.
  struct Filling {
    ObjectCopy object;
    ArenaPart part;
  };
  // An object that it reads.
  struct Reading {
    ArenaPart part;
    uint64_t size_bytes;
    Elements elements;
    // References with a view, and without one, as a message has it that is on its way.
    uint64_t views;
    uint64_t holds;
    // One more of the first kind.
    View view();
  };

  Store(std::unique_ptr<Segment> segment, const AttachOptions& attach);

  ObjectCopy claimRoom(const CreateRequest& request);
  void backExtent(const Extent& extent, const ArenaPart& part, uint64_t lock_timeout_us);
  void reserveMissing(const Extent& extent, const ArenaPart& part);
  bool evicts() const { return table_.whenFull() == WhenFull::kEvict; }
  std::optional<uint64_t> placeFor(const PlacementRequest& wanted, const TableScan& scan) const;
  // For a store that evicts. Both leave the room to the next reclaim(); false if nothing was done.
  bool evict(const StoreTable::Lock&, const PlacementRequest& place, const TableScan& scan);
  bool evictBytes(uint64_t bytes, uint64_t lock_timeout_us);
  std::vector<ObjectCopy> evictable() const;
  std::optional<size_t> fewestToEvict(const PlacementRequest& place, const TableScan& scan,
                                      const std::vector<ObjectCopy>& going) const;
  Filling takeFilling(uint64_t id);
  Leftover leftoverOf(Filling filling) const;
  ObjectCopy findSealed(uint64_t id) const;
  Error notReadable(const ObjectCopy& object) const;
  View takeOnce(uint64_t id, uint64_t lock_timeout_us);
  // These have readings_mutex_ held. A new reading has no reference of ours yet.
  Reading* findReading(uint64_t id);
  Reading& getReading(uint64_t id);
  Reading& addReading(const ObjectCopy& object);
  void endIfUnused(uint64_t id, const Reading& reading);
  void requireClient() const;
  Holder holderOf(uint32_t client) const;
  std::optional<ObjectCopy> claimFreePiece(uint64_t keep_bytes, uint64_t below_bytes,
                                           uint64_t lock_timeout_us);
  void punch(const Extent& extent);

  std::unique_ptr<Segment> segment_;
  StoreTable table_;
  ChannelTable channels_;
  Arena producer_;
  Arena consumer_;
  uint32_t client_ = kNoClient;
  bool trim_;
  std::mutex fillings_mutex_;
  std::unordered_map<uint64_t, Filling> fillings_;
  std::mutex readings_mutex_;
  std::unordered_map<uint64_t, Reading> readings_;
};

}  // namespace memdrift
