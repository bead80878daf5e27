// SPDX-License-Identifier: MIT
#include "shm/store_table.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <functional>

#include "errors.h"

namespace memdrift {

namespace {

bool setByteLock(int fd, short type, int64_t offset) {
  struct flock range{};
  range.l_type = type;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = 1;
  int result;
  do {
    result = fcntl(fd, F_OFD_SETLK, &range);
  } while (result != 0 && errno == EINTR);
  return result == 0;
}

// True if another open file description holds the byte, or the kernel does not say: to take a
// living client for a dead one would give its memory away.
bool isByteLocked(int fd, int64_t offset) {
  struct flock range{};
  range.l_type = F_WRLCK;
  range.l_whence = SEEK_SET;
  range.l_start = offset;
  range.l_len = 1;
  return fcntl(fd, F_OFD_GETLK, &range) != 0 || range.l_type != F_UNLCK;
}

uint64_t nowNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

// Text of a fixed field of shared memory, which need not end with a zero.
std::string textOf(const char* field, size_t size) { return {field, strnlen(field, size)}; }

void setText(char* field, size_t size, const std::string& text) {
  const size_t length = std::min(size - 1, text.size());
  memcpy(field, text.data(), length);
  memset(field + length, 0, size - length);
}

Error corrupt(const std::string& what) {
  return Error(ErrorCode::ERR_CORRUPT,
               "the store's table is damaged: " + what +
                   "; something else wrote to its memory, and it can only be removed");
}

Error gone(uint64_t id) {
  return Error(ErrorCode::ERR_GONE, "object " + std::to_string(id) +
                                        " does not exist any more: it was deleted, or its creator "
                                        "died before it was sealed");
}

}  // namespace

bool Liveness::alive(uint32_t client) {
  if (client == self_) return true;
  if (client >= kMaxClients) return false;
  const uint64_t bit = uint64_t{1} << (client % 64);
  if ((asked_[client / 64] & bit) == 0) {
    asked_[client / 64] |= bit;
    if (isByteLocked(fd_, lockOffsetOfClient(client))) alive_[client / 64] |= bit;
  }
  return (alive_[client / 64] & bit) != 0;
}

void StoreTable::format(Segment& segment, uint64_t capacity_bytes, const Options& options) {
  // Without its pages a first touch of the table on a full /dev/shm would be SIGBUS.
  segment.reserve(kStoreHeaderOffset, kObjectsOffset - kStoreHeaderOffset);
  const Mapping page(MappingRequest{segment.fd(), kStoreHeaderOffset, kPageBytes,
                                    PROT_READ | PROT_WRITE, MAP_SHARED});
  auto* header = reinterpret_cast<StoreHeader*>(page.data());
  header->capacity_bytes = capacity_bytes;
  header->placement = static_cast<uint32_t>(options.placement);
  header->with_sites = options.with_sites ? 1 : 0;
}

StoreTable::StoreTable(Segment& segment, bool read_only) : segment_(segment) {
  if (segment.dataBytes() < kTableDataBytes) throw corrupt("the segment is smaller than a table");
  mapping_ = Mapping(
      {segment.fd(), 0, kArenaOffset, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED});
  const StoreHeader& shared = header();
  capacity_bytes_ = shared.capacity_bytes;
  placement_ = static_cast<Placement>(shared.placement);
  with_sites_ = shared.with_sites != 0;
  if (capacity_bytes_ == 0 || capacity_bytes_ % kPageBytes != 0 ||
      capacity_bytes_ > segment.dataBytes() - kTableDataBytes)
    throw corrupt("its capacity is not that of its segment");
  if (placement_ != Placement::kLowest && placement_ != Placement::kRotate)
    throw corrupt("its placement is unknown");
}

StoreTable::Lock::Lock(StoreTable& table, uint64_t timeout_us) : table_(table) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::microseconds(timeout_us);
  const Error busy(ErrorCode::ERR_BUSY,
                   "the store's lock was not to be had in " + std::to_string(timeout_us) +
                       " us: its holder is stopped, or the machine is overloaded; try again");
  // A holder needs microseconds. Looking again soon is cheaper than any way to be told.
  const auto tryUntilDeadline = [&](const std::function<bool()>& take) {
    for (unsigned attempt = 0; !take(); attempt++) {
      if (std::chrono::steady_clock::now() >= deadline) throw busy;
      if (attempt > 20) usleep(50);
    }
  };
  // The lock of the file is the attachment's, so its threads have a second one among themselves.
  tryUntilDeadline([&] { return table.threads_.try_lock(); });
  std::unique_lock threads(table.threads_, std::adopt_lock);
  tryUntilDeadline([&] { return setByteLock(table.segment_.fd(), F_WRLCK, kTableLockOffset); });
  threads.release();
}

StoreTable::Lock::~Lock() {
  setByteLock(table_.segment_.fd(), F_UNLCK, kTableLockOffset);
  table_.threads_.unlock();
}

uint32_t StoreTable::attachClient(const Lock&, const std::string& label) {
  const uint32_t used = std::min(header().clients_used.load(), kMaxClients);
  for (uint32_t index = 0; index < kMaxClients; index++) {
    // The lock tells more than the slot: it is gone with its owner, whatever the slot says.
    if (!setByteLock(segment_.fd(), F_WRLCK, lockOffsetOfClient(index))) continue;
    ClientSlot& slot = clientSlot(index);
    if (index < used) clearAfter(index);
    slot.pid = static_cast<uint32_t>(getpid());
    slot.attached_at_ns = nowNs();
    setText(slot.label, sizeof(slot.label), label);
    slot.attached.store(1, std::memory_order_release);
    if (index >= used) header().clients_used.store(index + 1);
    return index;
  }
  throw Error(ErrorCode::ERR_FULL, "the store has " + std::to_string(kMaxClients) +
                                       " clients, which is all that it can have");
}

// What a dead client left would count as the new owner's: its slot's number is alive again.
void StoreTable::clearAfter(uint32_t client) {
  dropReferencesOf(client);
  const uint32_t count = objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = read(index);
    const bool unsealed = object && (object->state == ObjectState::kCreated ||
                                     object->state == ObjectState::kPunching);
    if (unsealed && object->creator == client) release(*object);
  }
}

void StoreTable::detachClient(const Lock&, uint32_t client) {
  clearAfter(client);
  clientSlot(client).attached.store(0, std::memory_order_release);
  setByteLock(segment_.fd(), F_UNLCK, lockOffsetOfClient(client));
}

StoreTable::Usage StoreTable::reclaim(const Lock&, uint32_t self) {
  Liveness alive = liveness(self);
  Usage usage;
  std::vector<Extent>& used = usage.extents;
  const uint32_t count = objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = read(index);
    if (!object) continue;
    if (!isLive(*object, alive)) {
      release(*object);
      continue;
    }
    used.push_back(object->extent);
    usage.bytes += object->extent.extent_bytes;
    if (object->state == ObjectState::kPunching)
      usage.punching_bytes += object->extent.extent_bytes;
  }
  std::sort(used.begin(), used.end(),
            [](const Extent& a, const Extent& b) { return a.offset_bytes < b.offset_bytes; });
  for (size_t i = 1; i < used.size(); i++) {
    if (used[i].offset_bytes < used[i - 1].offset_bytes + used[i - 1].extent_bytes)
      throw corrupt("two objects overlap");
  }
  return usage;
}

uint32_t StoreTable::freeSlot() {
  const uint32_t count = objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    if (kindOf(objectSlot(index).state.load(std::memory_order_acquire)) == ObjectState::kFree)
      return index;
  }
  if (count == kMaxObjects)
    throw Error(ErrorCode::ERR_FULL, "the store has " + std::to_string(kMaxObjects) +
                                         " objects, which is all that it can have; delete some");
  // The page of a slot is allocated before anybody touches it; see format().
  const size_t offset = kObjectsOffset + count * sizeof(ObjectSlot);
  if (offset % kPageBytes == 0) segment_.reserve(offset, kPageBytes);
  header().objects_used.store(count + 1, std::memory_order_release);
  return count;
}

uint64_t StoreTable::claim(const Lock&, const Claim& claim) {
  const uint32_t index = freeSlot();
  ObjectSlot& slot = objectSlot(index);
  const uint64_t generation = generationOf(slot.state.load()) + 1;
  slot.size_bytes = claim.size_bytes;
  slot.offset_bytes = claim.extent.offset_bytes;
  slot.extent_bytes = claim.extent.extent_bytes;
  slot.created_at_ns = nowNs();
  slot.creator = claim.creator;
  slot.creator_pid = static_cast<uint32_t>(getpid());
  setText(slot.site, sizeof(slot.site), claim.site);
  for (auto& word : slot.references) word.store(0, std::memory_order_relaxed);
  slot.state.store(packState(generation, claim.state), std::memory_order_release);
  return idOf(generation, index);
}

std::optional<ObjectCopy> StoreTable::read(uint32_t index) const {
  const ObjectSlot& slot = objectSlot(index);
  const uint64_t state = slot.state.load(std::memory_order_acquire);
  if (kindOf(state) == ObjectState::kFree) return std::nullopt;
  if (kindOf(state) > ObjectState::kPunching || generationOf(state) > kMaxGeneration)
    throw corrupt("slot " + std::to_string(index) + " is in no state that there is");
  ObjectCopy copy{index,
                  generationOf(state),
                  kindOf(state),
                  slot.size_bytes,
                  {slot.offset_bytes, slot.extent_bytes},
                  slot.created_at_ns,
                  slot.creator,
                  slot.creator_pid,
                  textOf(slot.site, sizeof(slot.site))};
  // A state that moved on while we copied: the fields may be of two objects.
  std::atomic_thread_fence(std::memory_order_acquire);
  if (slot.state.load(std::memory_order_relaxed) >> 8 != state >> 8 ||
      kindOf(slot.state.load(std::memory_order_relaxed)) == ObjectState::kFree)
    return std::nullopt;
  const Extent& extent = copy.extent;
  if (extent.offset_bytes % kPageBytes != 0 || extent.extent_bytes % kPageBytes != 0 ||
      extent.extent_bytes == 0 || extent.extent_bytes > capacity_bytes_ ||
      extent.offset_bytes > capacity_bytes_ - extent.extent_bytes ||
      copy.size_bytes > extent.extent_bytes)
    throw corrupt("object " + std::to_string(copy.id()) + " lies outside of the arena");
  return copy;
}

ObjectCopy StoreTable::find(uint64_t id) const {
  const uint32_t index = static_cast<uint32_t>(id % kMaxObjects);
  if (index >= objectsUsed()) throw gone(id);
  std::optional<ObjectCopy> copy = read(index);
  if (!copy || copy->id() != id || copy->state == ObjectState::kPunching) throw gone(id);
  return *copy;
}

bool StoreTable::transition(const ObjectCopy& object, ObjectState from, ObjectState to) {
  uint64_t expected = packState(object.generation, from);
  return objectSlot(object.index)
      .state.compare_exchange_strong(expected, packState(object.generation, to));
}

void StoreTable::release(const ObjectCopy& object) {
  objectSlot(object.index)
      .state.store(packState(object.generation, ObjectState::kFree), std::memory_order_release);
}

void StoreTable::addReference(uint32_t index, uint32_t client) {
  objectSlot(index).references[client / 64].fetch_or(uint64_t{1} << (client % 64));
}

void StoreTable::dropReference(uint32_t index, uint32_t client) {
  objectSlot(index).references[client / 64].fetch_and(~(uint64_t{1} << (client % 64)));
}

void StoreTable::dropReferencesOf(uint32_t client) {
  const uint32_t count = objectsUsed();
  for (uint32_t index = 0; index < count; index++) dropReference(index, client);
}

bool StoreTable::isHeld(uint32_t index, Liveness& liveness) const {
  return !holders(index, liveness).empty();
}

std::vector<uint32_t> StoreTable::holders(uint32_t index, Liveness& liveness) const {
  std::vector<uint32_t> clients;
  const ObjectSlot& slot = objectSlot(index);
  for (uint32_t word = 0; word < kReferenceWords; word++) {
    uint64_t bits = slot.references[word].load(std::memory_order_acquire);
    for (; bits != 0; bits &= bits - 1) {
      const uint32_t client = word * 64 + static_cast<uint32_t>(__builtin_ctzll(bits));
      if (liveness.alive(client)) clients.push_back(client);
    }
  }
  return clients;
}

bool StoreTable::isLive(const ObjectCopy& object, Liveness& liveness) const {
  switch (object.state) {
    case ObjectState::kSealed:
      return true;
    case ObjectState::kDeleted:
      return isHeld(object.index, liveness);
    default:
      return liveness.alive(object.creator);
  }
}

std::optional<ClientCopy> StoreTable::client(uint32_t index) const {
  if (index >= kMaxClients) return std::nullopt;
  const ClientSlot& slot = clientSlot(index);
  if (slot.attached.load(std::memory_order_acquire) == 0) return std::nullopt;
  return ClientCopy{slot.pid, textOf(slot.label, sizeof(slot.label))};
}

uint32_t StoreTable::objectsUsed() const {
  const uint32_t used = header().objects_used.load(std::memory_order_acquire);
  if (used > kMaxObjects) throw corrupt("it counts more objects than it has slots");
  return used;
}

StoreHeader& StoreTable::header() const {
  return *reinterpret_cast<StoreHeader*>(mapping_.data() + kStoreHeaderOffset);
}

ClientSlot& StoreTable::clientSlot(uint32_t index) const {
  return reinterpret_cast<ClientSlot*>(mapping_.data() + kClientsOffset)[index];
}

ObjectSlot& StoreTable::objectSlot(uint32_t index) const {
  return reinterpret_cast<ObjectSlot*>(mapping_.data() + kObjectsOffset)[index];
}

}  // namespace memdrift
