// SPDX-License-Identifier: MIT
// What a store should be after each of many steps of several clients, kept in the simplest way.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

#include "errors.h"
#include "shm/placement.h"
#include "shm/table.h"

namespace memdrift {

enum class Act : uint8_t {
  kOpen,
  kClose,
  kKill,
  kCreate,
  kFill,
  kSeal,
  kAbort,
  kGet,
  kHold,
  kCheck,  // of the bytes that it holds
  kWrite,  // into its own view
  kRelease,
  kRemove,
  kGiveBack,
  kLook  // list() and stats()
};

struct Step {
  // Names the object that it creates, and says what is in it.
  uint32_t number = 0;
  Act act = Act::kLook;
  uint32_t client = 0;
  uint32_t object = 0;  // the number of the step that created it
  uint64_t size_bytes = 0;
  // The client is killed at this point of it, if it has as many; see shm/crash_point.h.
  uint32_t crash_point = 0;
};

std::string textOf(const Step& step);

struct ModelObject {
  uint64_t id;
  uint64_t size_bytes;
  Extent extent;
  ObjectState state;
  uint32_t creator;
  bool filled;
  std::map<uint32_t, uint32_t> holders;  // how many references each client has
  std::set<uint32_t> writers;            // who wrote to its own view
};

class StoreModel {
 public:
  explicit StoreModel(uint64_t capacity_bytes) : capacity_bytes_(capacity_bytes) {}

  // Whether there is somebody to do it, and something to do it with. In a list of steps of which
  // some were taken out there may not be.
  bool canHappen(const Step& step) const;
  // How it must end; nothing if it must succeed.
  std::optional<ErrorCode> expected(const Step& step) const;
  // It has succeeded; `id` is what a create gave.
  void apply(const Step& step, uint64_t id);
  // Where a create must have put its object, and in which slot.
  std::optional<Extent> placeOf(uint64_t size_bytes) const;
  uint32_t lowestFreeSlot() const;

  bool isAttached(uint32_t client) const { return attached_.contains(client); }
  size_t attachedCount() const { return attached_.size(); }
  // The id of an object that was ever created, or what no object has.
  uint64_t idOf(uint32_t object) const;
  bool wasEver(uint64_t id) const { return ever_.contains(id); }
  // By the number of the step that created them: those that take room.
  const std::map<uint32_t, ModelObject>& objects() const { return objects_; }
  uint64_t capacityBytes() const { return capacity_bytes_; }

 private:
  const ModelObject* find(uint32_t object) const;
  void create(const Step& step, uint64_t id);
  void detach(uint32_t client);
  void drop(uint32_t object, uint32_t client);

  uint64_t capacity_bytes_;
  std::set<uint32_t> attached_;
  std::map<uint32_t, ModelObject> objects_;
  std::unordered_map<uint32_t, uint64_t> ids_;
  std::set<uint64_t> ever_;
};

// Of the object that a step created, and what a client writes to its view of it.
unsigned char modelByte(uint32_t number, uint64_t at);
inline constexpr unsigned char kWrittenByte = 0xee;

}  // namespace memdrift
