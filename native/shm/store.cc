// SPDX-License-Identifier: MIT
#include "shm/store.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/sysinfo.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstring>

#include "errors.h"

namespace memdrift {

namespace {

// Attaching scans the table under the lock; nobody waits for it on an event loop.
constexpr uint64_t kAttachTimeoutUs = 2'000'000;
// Pages of a piece of free room are given back in this time, more or less.
constexpr useconds_t kPunchingPauseUs = 200;
// However the table changes under our eyes, somebody else waits for its lock.
constexpr int kEvictTurns = 16;

uint64_t wholePages(uint64_t bytes) {
  return std::max<uint64_t>(1, (bytes + kPageBytes - 1) / kPageBytes) * kPageBytes;
}

void checkCapacity(const StoreOptions& options) {
  if (options.capacity_bytes == 0)
    throw Error(ErrorCode::ERR_INVALID, "a store needs a capacity of at least one byte");
  struct sysinfo system{};
  if (sysinfo(&system) != 0) return;
  const uint64_t memory_bytes = uint64_t{system.totalram} * system.mem_unit;
  if (options.capacity_bytes <= memory_bytes) return;
  throw Error(ErrorCode::ERR_FULL, "a store of " + std::to_string(options.capacity_bytes) +
                                       " bytes is more than the machine's memory, " +
                                       std::to_string(memory_bytes) + " bytes; ask for less");
}

// No gap is large enough for `size_bytes`.
Error noRoom(uint64_t size_bytes, uint64_t capacity_bytes, const TableScan& scan) {
  const std::string what = "the store has no room for " + std::to_string(size_bytes) +
                           " bytes: " + std::to_string(scan.used_bytes) + " of " +
                           std::to_string(capacity_bytes) + " are used, ";
  if (scan.punching)
    return Error(ErrorCode::ERR_BUSY,
                 what +
                     "some of them because their pages are being given back to the system right "
                     "now; try again, or use createAsync, which waits");
  return Error(ErrorCode::ERR_FULL, what + "and no gap is large enough; release or delete objects");
}

Error notHeld(uint64_t id) {
  return Error(ErrorCode::ERR_STATE, "object " + std::to_string(id) + " is not held here");
}

}  // namespace

void Leftover::giveUp() noexcept {
  if (!part_.own && any()) dropEntries(part_.bytes, part_.size_bytes);
  part_ = ArenaPart();
}

std::shared_ptr<Store> Store::create(const StoreOptions& options, const AttachOptions& attach) {
  checkCapacity(options);
  const uint64_t capacity_bytes = wholePages(options.capacity_bytes);
  const auto format = [&](Segment& made) {
    StoreTable::format(made, capacity_bytes,
                       {options.placement, options.with_sites, options.when_full});
  };
  auto segment =
      Segment::create({options.name, SegmentKind::kStore, kTableDataBytes + capacity_bytes, format,
                       kArenaOffset - kObjectsOffset});
  auto store = std::shared_ptr<Store>(new Store(std::move(segment), attach));
  store->channels_.beMaker();
  return store;
}

std::shared_ptr<Store> Store::open(const std::string& name, const AttachOptions& attach) {
  return std::shared_ptr<Store>(
      new Store(Segment::open(name, SegmentKind::kStore, attach.read_only), attach));
}

Store::Store(std::unique_ptr<Segment> segment, const AttachOptions& attach)
    : segment_(std::move(segment)),
      table_(*segment_, attach.read_only),
      channels_(segment_->fd(), table_.header()),
      trim_(attach.trim) {
  if (attach.read_only) return;
  const uint64_t capacity_bytes = table_.capacityBytes();
  const int fd = segment_->fd();
  producer_ = Arena({fd, capacity_bytes, Access::kProducer, attach.whole_arena});
  consumer_ = Arena({fd, capacity_bytes, Access::kConsumer, attach.whole_arena});
  const StoreTable::Lock lock(table_, kAttachTimeoutUs);
  client_ = table_.attachClient(lock, attach.label);
}

Store::~Store() {
  if (client_ == kNoClient) return;
  channels_.makerCloses();
  try {
    table_.detachClient(client_);
  } catch (const Error&) {
    // A damaged table. The lock of our slot goes with the descriptor, which says as much.
  }
}

Room Store::create(const CreateRequest& request) {
  requireClient();
  const ObjectCopy object = claimRoom(request);
  try {
    ArenaPart part = producer_.part(object.extent);
    backExtent(object.extent, part, request.lock_timeout_us);
    if (request.populate) populateEntries(part.bytes, part.size_bytes);
    const Room room{object.id(), part.bytes, request.size_bytes, part.own};
    const std::lock_guard lock(fillings_mutex_);
    // Whose generation somebody has set back would end the mapping that the other one is filled by.
    if (!fillings_.try_emplace(room.id, Filling{object, std::move(part)}).second)
      throw Error(ErrorCode::ERR_CORRUPT,
                  "the store's table is damaged: it gave object " + std::to_string(room.id) +
                      " twice; something else wrote to its memory, and it can only be removed");
    return room;
  } catch (...) {
    table_.release(object);
    throw;
  }
}

ObjectCopy Store::claimRoom(const CreateRequest& request) {
  const uint64_t extent_bytes = wholePages(request.size_bytes);
  const uint64_t capacity_bytes = table_.capacityBytes();
  if (!isShapeOf(request.elements, request.size_bytes))
    throw Error(ErrorCode::ERR_INVALID, "the shape does not have the elements of " +
                                            std::to_string(request.size_bytes) + " bytes");
  if (request.size_bytes > capacity_bytes)
    throw Error(ErrorCode::ERR_TOO_LARGE, "an object of " + std::to_string(request.size_bytes) +
                                              " bytes cannot be in a store of " +
                                              std::to_string(capacity_bytes));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::microseconds(request.lock_timeout_us);
  for (;;) {
    {
      const StoreTable::Lock lock(table_, request.lock_timeout_us);
      TableScan scan = table_.reclaim(lock, client_);
      Shared<uint64_t>& cursor_bytes = table_.header().cursor_bytes;
      const PlacementRequest wanted{table_.placement(), capacity_bytes, extent_bytes,
                                    cursor_bytes.load()};
      auto place = placeFor(wanted, scan);
      // Another turn only where somebody got what was to go; room that is free in a moment is not
      // made by deleting.
      for (int turn = 0; !place && evicts() && !scan.punching && turn < kEvictTurns; turn++) {
        if (!evict(lock, wanted, scan)) break;
        scan = table_.reclaim(lock, client_);
        place = placeFor(wanted, scan);
      }
      if (place) {
        const Extent extent{*place, extent_bytes};
        cursor_bytes.store(*place + extent_bytes);
        return table_.claim(lock, scan,
                            {ObjectState::kCreated, request.size_bytes, extent, client_,
                             request.site, request.elements});
      }
      // Room whose pages are given back right now is free in a moment.
      if (!scan.punching || std::chrono::steady_clock::now() >= deadline)
        throw noRoom(request.size_bytes, capacity_bytes, scan);
    }
    usleep(kPunchingPauseUs);
  }
}

// A store that evicts has a place only where it has a slot; others say that slots are short.
std::optional<uint64_t> Store::placeFor(const PlacementRequest& wanted,
                                        const TableScan& scan) const {
  const bool no_slot = scan.free_slot == kNoSlot && table_.objectsUsed() == kMaxObjects;
  if (no_slot && evicts()) return std::nullopt;
  return placeExtent(wanted, scan.used);
}

// Allocates the pages that the extent does not have.
void Store::backExtent(const Extent& extent, const ArenaPart& part, uint64_t lock_timeout_us) {
  try {
    return reserveMissing(extent, part);
  } catch (const Error& error) {
    // /dev/shm may lack just what free room elsewhere in this store keeps warm.
    if (error.code() != ErrorCode::ERR_FULL) throw;
    const bool given = giveBack(0, lock_timeout_us) > 0;
    const bool evicted = !given && evicts() && evictBytes(extent.extent_bytes, lock_timeout_us) &&
                         giveBack(0, lock_timeout_us) > 0;
    if (!given && !evicted) throw;
  }
  reserveMissing(extent, part);
}

// Where the extent has all its pages this is one look at the mapping: fallocate over existing pages
// would cost as much as over new ones.
void Store::reserveMissing(const Extent& extent, const ArenaPart& part) {
  std::vector<Extent> reserved;
  uint64_t done = 0;
  while (done < extent.extent_bytes) {
    const auto gap = findMissingPages(part.bytes + done, extent.extent_bytes - done);
    if (!gap) return;
    const Extent missing{extent.offset_bytes + done + gap->offset_bytes, gap->bytes};
    try {
      segment_->reserve(kArenaOffset + missing.offset_bytes, missing.extent_bytes);
    } catch (const Error&) {
      // What is short is not kept by an object that will not be.
      for (const Extent& one : reserved) punch(one);
      throw;
    }
    reserved.push_back(missing);
    done += gap->offset_bytes + gap->bytes;
  }
}

Store::Filling Store::takeFilling(uint64_t id) {
  requireClient();
  const std::lock_guard lock(fillings_mutex_);
  auto taken = fillings_.extract(id);
  if (taken.empty())
    throw Error(ErrorCode::ERR_STATE,
                "object " + std::to_string(id) + " is sealed or aborted already, or not made here");
  return std::move(taken.mapped());
}

Leftover Store::seal(uint64_t id) {
  Filling filling = takeFilling(id);
  if (!table_.transition(filling.object, ObjectState::kCreated, ObjectState::kSealed))
    throw Error(ErrorCode::ERR_CORRUPT,
                "object " + std::to_string(id) +
                    " was changed by something else while it was filled; it is lost");
  table_.header().puts.add(1);
  return leftoverOf(std::move(filling));
}

Leftover Store::leftoverOf(Filling filling) const {
  const bool anything = trim_ || !producer_.isWhole();
  return anything ? Leftover(std::move(filling.part)) : Leftover();
}

void Store::abort(uint64_t id) { table_.release(takeFilling(id).object); }

ObjectCopy Store::findSealed(uint64_t id) const {
  const ObjectCopy object = table_.find(id);
  if (object.state == ObjectState::kSealed) return object;
  throw notReadable(object);
}

Error Store::notReadable(const ObjectCopy& object) const {
  const std::string name = "object " + std::to_string(object.id());
  if (object.state == ObjectState::kDeleted)
    return Error(ErrorCode::ERR_GONE, name + " was deleted");
  if (!table_.liveness(client_).alive(object.creator))
    return Error(ErrorCode::ERR_GONE, name + " was never sealed, and its creator is dead");
  return Error(ErrorCode::ERR_STATE, name + " is not sealed yet; its creator still fills it");
}

View Store::get(uint64_t id) {
  const std::lock_guard lock(readings_mutex_);
  return getReading(id).view();
}

Store::Reading& Store::getReading(uint64_t id) {
  requireClient();
  // With the readings locked from before the first look: another thread could else get a new object
  // in the slot after it, and lose its reference to our giving up.
  ObjectCopy object = findSealed(id);
  if (Reading* held = findReading(id)) return *held;
  // First the reference, then a second look: who deletes it after the look sees the reference,
  // because both are in one order with his own two steps, the state and then the references.
  table_.addReference(object.index, client_);
  try {
    object = findSealed(id);
    Reading& reading = addReading(object);
    table_.header().gets.add(1);
    return reading;
  } catch (...) {
    table_.dropReference(object.index, client_);
    throw;
  }
}

Store::Reading* Store::findReading(uint64_t id) {
  const auto held = readings_.find(id);
  return held == readings_.end() ? nullptr : &held->second;
}

Store::Reading& Store::addReading(const ObjectCopy& object) {
  return readings_
      .emplace(object.id(),
               Reading{consumer_.part(object.extent), object.size_bytes, object.elements, 0, 0})
      .first->second;
}

View Store::Reading::view() {
  views++;
  return {part.bytes, size_bytes, elements};
}

void Store::hold(uint64_t id) {
  const std::lock_guard lock(readings_mutex_);
  Reading* held = findReading(id);
  if (held == nullptr) throw notHeld(id);
  held->views++;
}

void Store::populate(uint64_t id) {
  unsigned char* bytes = nullptr;
  uint64_t size_bytes = 0;
  {
    const std::lock_guard lock(readings_mutex_);
    const Reading* held = findReading(id);
    if (held == nullptr) throw notHeld(id);
    bytes = held->part.bytes;
    size_bytes = held->part.size_bytes;
  }
  // Without the lock, which a release of whatever other object wants.
  populateEntries(bytes, size_bytes);
}

void Store::release(uint64_t id) {
  // Held to the end, so that a get() of the same object finds all of this undone or none.
  const std::lock_guard lock(readings_mutex_);
  Reading* held = findReading(id);
  if (held == nullptr || held->views == 0) throw notHeld(id);
  if (--held->views > 0) return;
  const ArenaPart& part = held->part;
  // A copied page that stayed would be read as part of the object when it is got again, or of the
  // next one at this place. To look for one takes 1.4 ms per 100 MB that are mapped.
  const bool stays_mapped = !part.own || held->holds > 0;
  if (stays_mapped && (trim_ || hasCopiedPages(part.bytes, part.size_bytes)))
    dropEntries(part.bytes, part.size_bytes);
  endIfUnused(id, *held);
}

void Store::letGo(uint64_t id) {
  const std::lock_guard lock(readings_mutex_);
  Reading* held = findReading(id);
  if (held == nullptr || held->holds == 0) throw notHeld(id);
  held->holds--;
  endIfUnused(id, *held);
}

void Store::endIfUnused(uint64_t id, const Reading& reading) {
  if (reading.views > 0 || reading.holds > 0) return;
  readings_.erase(id);
  table_.dropReference(static_cast<uint32_t>(id % kMaxObjects), client_);
}

void Store::remove(uint64_t id) {
  requireClient();
  const ObjectCopy object = findSealed(id);
  if (table_.transition(object, ObjectState::kSealed, ObjectState::kDeleted)) return;
  throw Error(ErrorCode::ERR_GONE, "object " + std::to_string(id) + " was deleted already");
}

void Store::requireClient() const {
  if (client_ != kNoClient) return;
  throw Error(ErrorCode::ERR_STATE,
              "this store was opened read-only: it can be listed, not used; open it without "
              "readOnly");
}

}  // namespace memdrift
