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
#include "shm/byte_lock.h"

namespace memdrift {

namespace {

uint64_t nowNs() {
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000000000 + static_cast<uint64_t>(now.tv_nsec);
}

Error corrupt(const std::string& what) {
  return Error(ErrorCode::ERR_CORRUPT,
               "the store's table is damaged: " + what +
                   "; something else wrote to its memory, and it can only be removed");
}

void storeElements(ObjectSlot& slot, const Elements& elements) {
  slot.element_type.store(elements.type);
  slot.element_bytes.store(elements.element_bytes);
  slot.dimensions.store(elements.dimensions);
  for (uint32_t i = 0; i < elements.dimensions; i++) slot.shape[i].store(elements.shape[i]);
}

// Unchecked: with dimensions beyond what there are they are only counted.
Elements loadElements(const ObjectSlot& slot) {
  Elements elements;
  elements.type = slot.element_type.load();
  elements.element_bytes = slot.element_bytes.load();
  const uint64_t dimensions = slot.dimensions.load();
  elements.dimensions = static_cast<uint32_t>(std::min<uint64_t>(dimensions, UINT32_MAX));
  for (uint32_t i = 0; i < std::min(elements.dimensions, kMaxDimensions); i++)
    elements.shape[i] = slot.shape[i].load();
  return elements;
}

Error gone(uint64_t id) {
  return Error(ErrorCode::ERR_GONE, "object " + std::to_string(id) +
                                        " does not exist any more: it was deleted, or its creator "
                                        "died before it was sealed");
}

}  // namespace

bool isShapeOf(const Elements& elements, uint64_t size_bytes) {
  const uint64_t element_bytes = elements.element_bytes;
  if (element_bytes == 0 || size_bytes % element_bytes != 0) return false;
  if (elements.dimensions == 0) return true;
  if (elements.dimensions > kMaxDimensions) return false;
  uint64_t bytes = element_bytes;
  for (uint32_t i = 0; i < elements.dimensions; i++) {
    if (__builtin_mul_overflow(bytes, elements.shape[i], &bytes)) return false;
  }
  return bytes == size_bytes;
}

void StoreTable::format(Segment& segment, uint64_t capacity_bytes, const Options& options) {
  // Without its pages a first touch of the table on a full /dev/shm would be SIGBUS.
  constexpr size_t kBytes = kObjectsOffset - kStoreHeaderOffset;
  segment.reserve(kStoreHeaderOffset, kBytes);
  const Mapping pages(
      MappingRequest{segment.fd(), kStoreHeaderOffset, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED});
  // A page that was allocated and never written looks like a hole to who opens the store.
  memset(pages.data(), 0, kBytes);
  auto* header = reinterpret_cast<StoreHeader*>(pages.data());
  header->capacity_bytes.store(capacity_bytes);
  header->placement.store(static_cast<uint32_t>(options.placement));
  header->with_sites.store(options.with_sites ? 1 : 0);
  header->when_full.store(static_cast<uint64_t>(options.when_full));
}

StoreTable::StoreTable(Segment& segment, bool read_only) : segment_(segment) {
  if (segment.dataBytes() < kTableDataBytes) throw corrupt("the segment is smaller than a table");
  if (lseek(segment.fd(), 0, SEEK_HOLE) < static_cast<off_t>(kObjectsOffset))
    throw corrupt("some of it has no memory");
  mapping_ = Mapping(
      {segment.fd(), 0, kArenaOffset, read_only ? PROT_READ : PROT_READ | PROT_WRITE, MAP_SHARED});
  const StoreHeader& shared = header();
  capacity_bytes_ = shared.capacity_bytes.load();
  placement_ = static_cast<Placement>(shared.placement.load());
  with_sites_ = shared.with_sites.load() != 0;
  const uint64_t when_full = shared.when_full.load();
  if (capacity_bytes_ == 0 || capacity_bytes_ % kPageBytes != 0 ||
      capacity_bytes_ > segment.dataBytes() - kTableDataBytes)
    throw corrupt("its capacity is not that of its segment");
  if (placement_ != Placement::kLowest && placement_ != Placement::kRotate)
    throw corrupt("its placement is unknown");
  if (when_full > static_cast<uint64_t>(WhenFull::kEvict))
    throw corrupt("what it does when it is full is unknown");
  when_full_ = static_cast<WhenFull>(when_full);
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
    slot.pid.store(static_cast<uint32_t>(getpid()));
    slot.attached_at_ns.store(nowNs());
    slot.label.store(label);
    slot.attached.store(1);
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

void StoreTable::detachClient(uint32_t client) {
  clearAfter(client);
  clientSlot(client).attached.store(0);
  setByteLock(segment_.fd(), F_UNLCK, lockOffsetOfClient(client));
}

TableScan StoreTable::reclaim(const Lock&, uint32_t self) {
  Liveness alive = liveness(self);
  TableScan scan;
  std::vector<Extent>& used = scan.used;
  const uint32_t count = objectsUsed();
  used.reserve(count);
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = read(index);
    if (object && isLive(*object, alive)) {
      used.push_back(object->extent);
      scan.used_bytes += object->extent.extent_bytes;
      scan.punching = scan.punching || object->state == ObjectState::kPunching;
      continue;
    }
    if (object) release(*object);
    if (scan.free_slot == kNoSlot && generationOf(objectSlot(index).state.load()) < kMaxGeneration)
      scan.free_slot = index;
  }
  const auto lower = [](const Extent& a, const Extent& b) {
    return a.offset_bytes < b.offset_bytes;
  };
  // Objects that were made one after the other lie so, too.
  if (!std::is_sorted(used.begin(), used.end(), lower)) std::sort(used.begin(), used.end(), lower);
  for (size_t i = 1; i < used.size(); i++) {
    if (used[i].offset_bytes < used[i - 1].offset_bytes + used[i - 1].extent_bytes)
      throw corrupt("two objects overlap");
  }
  return scan;
}

// Makes one more slot than were ever used.
uint32_t StoreTable::addSlot() {
  const uint32_t count = objectsUsed();
  if (count == kMaxObjects)
    throw Error(ErrorCode::ERR_FULL, "the store has " + std::to_string(kMaxObjects) +
                                         " objects, which is all that it can have; delete some");
  // The page of a slot is allocated before anybody touches it; see format() and objectsUsed().
  const size_t offset = kObjectsOffset + count * sizeof(ObjectSlot);
  if (offset % kPageBytes == 0) {
    segment_.reserve(offset, kPageBytes);
    objectSlot(count).state.store(0);
  }
  header().objects_used.store(count + 1);
  return count;
}

ObjectCopy StoreTable::claim(const Lock&, const TableScan& scan, const Claim& claim) {
  const uint32_t index = scan.free_slot != kNoSlot ? scan.free_slot : addSlot();
  ObjectSlot& slot = objectSlot(index);
  // Looked at again: something else may have written to it since reclaim() did.
  const uint64_t before = slot.state.load();
  if (kindOf(before) != ObjectState::kFree || generationOf(before) >= kMaxGeneration)
    throw corrupt("slot " + std::to_string(index) + " was free, and is not");
  const uint64_t generation = generationOf(before) + 1;
  const ObjectCopy copy{index,         generation, claim.state,   claim.size_bytes,
                        claim.extent,  nowNs(),    claim.creator, static_cast<uint32_t>(getpid()),
                        claim.elements};
  slot.size_bytes.store(copy.size_bytes);
  slot.offset_bytes.store(copy.extent.offset_bytes);
  slot.extent_bytes.store(copy.extent.extent_bytes);
  slot.created_at_ns.store(copy.created_at_ns);
  slot.creator.store(copy.creator);
  slot.creator_pid.store(copy.creator_pid);
  storeElements(slot, claim.elements);
  slot.site.store(claim.site);
  for (auto& word : slot.references) word.store(0);
  slot.state.store(packState(generation, claim.state));
  return copy;
}

std::optional<ObjectCopy> StoreTable::read(uint32_t index) const {
  const ObjectSlot& slot = objectSlot(index);
  // In one order with the references; see Store::get.
  const uint64_t state = slot.state.loadInOrder();
  if (kindOf(state) == ObjectState::kFree) return std::nullopt;
  if (kindOf(state) > ObjectState::kPunching || generationOf(state) > kMaxGeneration)
    throw corrupt("slot " + std::to_string(index) + " is in no state that there is");
  const ObjectCopy copy{index,
                        generationOf(state),
                        kindOf(state),
                        slot.size_bytes.load(),
                        {slot.offset_bytes.load(), slot.extent_bytes.load()},
                        slot.created_at_ns.load(),
                        slot.creator.load(),
                        slot.creator_pid.load(),
                        loadElements(slot)};
  // A slot that was freed while we copied: the fields may be of two objects.
  const uint64_t after = slot.state.load();
  if (generationOf(after) != copy.generation || kindOf(after) == ObjectState::kFree)
    return std::nullopt;
  const Extent& extent = copy.extent;
  if (extent.offset_bytes % kPageBytes != 0 || extent.extent_bytes % kPageBytes != 0 ||
      extent.extent_bytes == 0 || extent.extent_bytes > capacity_bytes_ ||
      extent.offset_bytes > capacity_bytes_ - extent.extent_bytes ||
      copy.size_bytes > extent.extent_bytes)
    throw corrupt("object " + std::to_string(copy.id()) + " lies outside of the arena");
  if (!isShapeOf(copy.elements, copy.size_bytes))
    throw corrupt("object " + std::to_string(copy.id()) + " has a shape that is not of its size");
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
  return objectSlot(object.index)
      .state.replace(packState(object.generation, from), packState(object.generation, to));
}

void StoreTable::release(const ObjectCopy& object) {
  transition(object, object.state, ObjectState::kFree);
}

void StoreTable::addReference(uint32_t index, uint32_t client) {
  objectSlot(index).references[client / 64].setBits(uint64_t{1} << (client % 64));
}

void StoreTable::dropReference(uint32_t index, uint32_t client) {
  objectSlot(index).references[client / 64].clearBits(uint64_t{1} << (client % 64));
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
    uint64_t bits = slot.references[word].loadInOrder();
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
  if (slot.attached.load() == 0) return std::nullopt;
  return ClientCopy{slot.pid.load(), slot.label.load()};
}

uint32_t StoreTable::objectsUsed() const {
  const uint32_t used = header().objects_used.load();
  if (used > kMaxObjects) throw corrupt("it counts more objects than it has slots");
  const uint32_t seen = slots_seen_.load(std::memory_order_relaxed);
  if (used <= seen) return used;
  const auto from = static_cast<off_t>(kObjectsOffset + seen * sizeof(ObjectSlot));
  const auto to = static_cast<off_t>(kObjectsOffset + used * sizeof(ObjectSlot));
  // Below 0 where somebody has made the file shorter.
  const off_t hole = lseek(segment_.fd(), from, SEEK_HOLE);
  if (hole < to) throw corrupt("it counts more objects than it has made slots");
  slots_seen_.store(used, std::memory_order_relaxed);
  return used;
}

uint64_t StoreTable::tableBytes() const {
  const uint64_t slots_bytes = objectsUsed() * sizeof(ObjectSlot);
  return kObjectsOffset + (slots_bytes + kPageBytes - 1) / kPageBytes * kPageBytes;
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
