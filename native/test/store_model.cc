// SPDX-License-Identifier: MIT
#include "test/store_model.h"

#include <algorithm>

namespace memdrift {

namespace {

constexpr const char* kNames[] = {"open",  "close",   "kill",   "create",   "fill",
                                  "seal",  "abort",   "get",    "hold",     "check",
                                  "write", "release", "remove", "giveBack", "look"};

// Of no object: its slot was never used.
constexpr uint64_t kNoId = uint64_t{1} << 40 | (kMaxObjects - 1);

bool holds(const ModelObject& object, uint32_t client) { return object.holders.contains(client); }

bool fills(const ModelObject& object, uint32_t client) {
  return object.state == ObjectState::kCreated && object.creator == client;
}

}  // namespace

unsigned char modelByte(uint32_t number, uint64_t at) {
  const uint64_t mixed = (number + 1) * 0x9e3779b97f4a7c15 ^ (at >> 3) * 0xc2b2ae3d27d4eb4f;
  return static_cast<unsigned char>(mixed >> (8 + at % 8 * 4));
}

std::string textOf(const Step& step) {
  std::string text = std::to_string(step.number) + ": client " + std::to_string(step.client) + " " +
                     kNames[static_cast<size_t>(step.act)];
  const bool of_object = step.act >= Act::kFill && step.act <= Act::kRemove;
  if (of_object) text += " #" + std::to_string(step.object);
  if (step.act == Act::kCreate) text += " " + std::to_string(step.size_bytes) + " bytes";
  if (step.crash_point != 0) text += ", killed at its point " + std::to_string(step.crash_point);
  return text;
}

uint64_t StoreModel::idOf(uint32_t object) const {
  const auto known = ids_.find(object);
  return known == ids_.end() ? kNoId : known->second;
}

const ModelObject* StoreModel::find(uint32_t object) const {
  const auto found = objects_.find(object);
  return found == objects_.end() ? nullptr : &found->second;
}

bool StoreModel::canHappen(const Step& step) const {
  if (step.act == Act::kOpen) return !isAttached(step.client);
  if (!isAttached(step.client)) return false;
  const ModelObject* object = find(step.object);
  if (step.act == Act::kFill) return object != nullptr && fills(*object, step.client);
  if (step.act == Act::kCheck || step.act == Act::kWrite)
    return object != nullptr && holds(*object, step.client);
  return true;
}

std::optional<ErrorCode> StoreModel::expected(const Step& step) const {
  const ModelObject* object = find(step.object);
  switch (step.act) {
    case Act::kCreate:
      if (step.size_bytes > capacity_bytes_) return ErrorCode::ERR_TOO_LARGE;
      if (!placeOf(step.size_bytes)) return ErrorCode::ERR_FULL;
      return std::nullopt;
    case Act::kSeal:
    case Act::kAbort:
      if (object == nullptr || !fills(*object, step.client)) return ErrorCode::ERR_STATE;
      return std::nullopt;
    case Act::kHold:
    case Act::kRelease:
      if (object == nullptr || !holds(*object, step.client)) return ErrorCode::ERR_STATE;
      return std::nullopt;
    case Act::kGet:
    case Act::kRemove:
      if (object == nullptr || object->state == ObjectState::kDeleted) return ErrorCode::ERR_GONE;
      if (object->state == ObjectState::kCreated) return ErrorCode::ERR_STATE;
      return std::nullopt;
    default:
      return std::nullopt;
  }
}

std::optional<Extent> StoreModel::placeOf(uint64_t size_bytes) const {
  const uint64_t pages = std::max<uint64_t>(1, (size_bytes + kPageBytes - 1) / kPageBytes);
  const uint64_t extent_bytes = pages * kPageBytes;
  std::map<uint64_t, uint64_t> used;
  for (const auto& [number, object] : objects_)
    used[object.extent.offset_bytes] = object.extent.extent_bytes;
  uint64_t end = 0;
  for (const auto& [offset_bytes, bytes] : used) {
    if (offset_bytes - end >= extent_bytes) break;
    end = offset_bytes + bytes;
  }
  if (end + extent_bytes > capacity_bytes_) return std::nullopt;
  return Extent{end, extent_bytes};
}

uint32_t StoreModel::lowestFreeSlot() const {
  std::set<uint32_t> taken;
  for (const auto& [number, object] : objects_)
    taken.insert(static_cast<uint32_t>(object.id % kMaxObjects));
  uint32_t slot = 0;
  while (taken.contains(slot)) slot++;
  return slot;
}

void StoreModel::create(const Step& step, uint64_t id) {
  ids_[step.number] = id;
  ever_.insert(id);
  objects_[step.number] = {
      id, step.size_bytes, *placeOf(step.size_bytes), ObjectState::kCreated, step.client, false, {},
      {}};
}

// Gives up one client's references to an object, which goes if it was deleted and nobody has more.
void StoreModel::drop(uint32_t number, uint32_t client) {
  ModelObject& object = objects_.at(number);
  object.holders.erase(client);
  object.writers.erase(client);
  if (object.state == ObjectState::kDeleted && object.holders.empty()) objects_.erase(number);
}

void StoreModel::detach(uint32_t client) {
  attached_.erase(client);
  std::vector<uint32_t> numbers;
  for (const auto& [number, object] : objects_) numbers.push_back(number);
  for (uint32_t number : numbers) {
    if (fills(objects_.at(number), client))
      objects_.erase(number);
    else
      drop(number, client);
  }
}

void StoreModel::apply(const Step& step, uint64_t id) {
  if (step.act == Act::kOpen) attached_.insert(step.client);
  if (step.act == Act::kClose || step.act == Act::kKill) detach(step.client);
  if (step.act == Act::kCreate) create(step, id);
  if (step.act < Act::kFill || step.act > Act::kRemove) return;
  ModelObject& object = objects_.at(step.object);
  switch (step.act) {
    case Act::kFill:
      object.filled = true;
      break;
    case Act::kSeal:
      object.state = ObjectState::kSealed;
      break;
    case Act::kAbort:
      objects_.erase(step.object);
      break;
    case Act::kGet:
    case Act::kHold:
      object.holders[step.client]++;
      break;
    case Act::kWrite:
      object.writers.insert(step.client);
      break;
    case Act::kRelease:
      if (--object.holders.at(step.client) == 0) drop(step.object, step.client);
      break;
    case Act::kRemove:
      object.state = ObjectState::kDeleted;
      if (object.holders.empty()) objects_.erase(step.object);
      break;
    default:
      break;
  }
}

}  // namespace memdrift
