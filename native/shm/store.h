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
#include <optional>
#include <string>
#include <vector>

#include "shm/mapping.h"
#include "shm/segment.h"
#include "shm/store_table.h"

namespace memdrift {

struct StoreOptions {
  std::string name;
  uint64_t capacity_bytes;
  Placement placement = Placement::kLowest;
  bool with_sites = false;
};

struct AttachOptions {
  // Gives up this process's page-table entries at seal and release, so that its RSS falls.
  bool trim = false;
  // Only looks: takes no client slot, and can neither get nor create.
  bool read_only = false;
  // How people see this client in lists.
  std::string label;
};

struct Room {
  uint64_t id;
  unsigned char* bytes;
  uint64_t size_bytes;
};

// A consumer's view of a sealed object: pages shared with everybody until it writes to them.
struct View {
  unsigned char* bytes;
  uint64_t size_bytes;
  bool copied;  // a copy of its own, because the kernel refused a private mapping
};

struct Holder {
  uint32_t client;
  uint32_t pid;
  std::string label;
};

struct ObjectInfo {
  ObjectCopy object;
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
  Placement placement;
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
  };
  // Throws ERR_FULL, ERR_TOO_LARGE (more than the capacity), ERR_BUSY, ERR_CORRUPT.
  Room create(const CreateRequest& request);
  // Throws ERR_STATE unless this client created it and has not sealed it. The bytes belong to
  // everybody afterwards: the caller must not write to them again.
  void seal(uint64_t id);
  void abort(uint64_t id);

  // Takes a reference. Throws ERR_GONE, ERR_STATE (not sealed yet), ERR_NO_MEMORY.
  View get(uint64_t id);
  // Gives the reference up, and with it the view.
  void release(uint64_t id, const View& view);
  // Throws ERR_GONE, ERR_STATE (not sealed yet).
  void remove(uint64_t id);

  std::vector<ObjectInfo> list() const;
  StoreStats stats() const;

  // Punches holes into free room, from the top down, until no more than `keep_bytes` of it, or as
  // much as is live if that is more, has pages. Returns the bytes given back.
  uint64_t giveBack(uint64_t keep_bytes);

  const Segment& segment() const { return *segment_; }
  bool trims() const { return trim_; }
  bool withSites() const { return table_.withSites(); }
  // False where the kernel refuses private mappings and a view is a copy.
  bool mapsViews() const { return private_.data() != nullptr; }

 private:
  Store(std::unique_ptr<Segment> segment, const AttachOptions& attach);

  Room claimRoom(const CreateRequest& request);
  std::optional<Room> tryClaimRoom(const CreateRequest& request);
  void backExtent(const Extent& extent);
  View viewOf(const ObjectCopy& object);
  ObjectCopy ownUnsealed(uint64_t id) const;
  void requireClient() const;
  Holder holderOf(uint32_t client) const;
  bool firstPageOf(Extent& gap) const;
  uint64_t punch(const Extent& gap);

  std::unique_ptr<Segment> segment_;
  StoreTable table_;
  Mapping shared_;   // the arena as producers write it
  Mapping private_;  // the arena as consumers read it; empty where the kernel refuses it
  uint32_t client_ = kNoClient;
  bool trim_;
};

}  // namespace memdrift
