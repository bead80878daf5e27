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
constexpr uint64_t kGiveBackTimeoutUs = 200'000;
// Room that is taken from others while its pages go: 32 MiB are some 6 ms.
constexpr uint64_t kPunchBytes = uint64_t{32} << 20;

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

}  // namespace

std::shared_ptr<Store> Store::create(const StoreOptions& options, const AttachOptions& attach) {
  checkCapacity(options);
  const uint64_t capacity_bytes = wholePages(options.capacity_bytes);
  auto segment = Segment::create(
      {options.name, SegmentKind::kStore, kTableDataBytes + capacity_bytes, [&](Segment& made) {
         StoreTable::format(made, capacity_bytes, {options.placement, options.with_sites});
       }});
  return std::shared_ptr<Store>(new Store(std::move(segment), attach));
}

std::shared_ptr<Store> Store::open(const std::string& name, const AttachOptions& attach) {
  return std::shared_ptr<Store>(
      new Store(Segment::open(name, SegmentKind::kStore, attach.read_only), attach));
}

Store::Store(std::unique_ptr<Segment> segment, const AttachOptions& attach)
    : segment_(std::move(segment)), table_(*segment_, attach.read_only), trim_(attach.trim) {
  if (attach.read_only) return;
  const uint64_t capacity_bytes = table_.capacityBytes();
  shared_ =
      Mapping({segment_->fd(), kArenaOffset, capacity_bytes, PROT_READ | PROT_WRITE, MAP_SHARED});
  try {
    private_ = Mapping(
        {segment_->fd(), kArenaOffset, capacity_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE});
  } catch (const Error&) {
    // vm.overcommit_memory=2 charges a private mapping in full, MAP_NORESERVE or not: each view is
    // then a mapping or a copy of its own; see viewOf.
  }
  const StoreTable::Lock lock(table_, kAttachTimeoutUs);
  client_ = table_.attachClient(lock, attach.label);
}

Store::~Store() {
  if (client_ == kNoClient) return;
  try {
    const StoreTable::Lock lock(table_, kAttachTimeoutUs);
    table_.detachClient(lock, client_);
  } catch (const Error&) {
    // The lock of our slot goes with the descriptor, which says the same to everybody.
  }
}

Room Store::create(const CreateRequest& request) {
  requireClient();
  const Room room = claimRoom(request);
  const Extent extent{static_cast<uint64_t>(room.bytes - shared_.data()),
                      wholePages(request.size_bytes)};
  try {
    backExtent(extent);
  } catch (...) {
    table_.release(table_.find(room.id));
    throw;
  }
  if (request.populate) populateEntries(room.bytes, extent.extent_bytes);
  return room;
}

Room Store::claimRoom(const CreateRequest& request) {
  if (request.size_bytes > table_.capacityBytes())
    throw Error(ErrorCode::ERR_TOO_LARGE, "an object of " + std::to_string(request.size_bytes) +
                                              " bytes cannot be in a store of " +
                                              std::to_string(table_.capacityBytes()));
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::microseconds(request.lock_timeout_us);
  for (;;) {
    if (const auto room = tryClaimRoom(request)) return *room;
    if (std::chrono::steady_clock::now() >= deadline)
      throw Error(ErrorCode::ERR_BUSY,
                  "pages of the room for " + std::to_string(request.size_bytes) +
                      " bytes are being given back to the system just now; try again, or use "
                      "createAsync, which waits");
    usleep(200);
  }
}

// Nothing when there would be room if its pages were not being given back at this moment.
std::optional<Room> Store::tryClaimRoom(const CreateRequest& request) {
  const uint64_t extent_bytes = wholePages(request.size_bytes);
  const uint64_t capacity_bytes = table_.capacityBytes();
  const StoreTable::Lock lock(table_, request.lock_timeout_us);
  const StoreTable::Usage used = table_.reclaim(lock, client_);
  StoreHeader& header = table_.header();
  const auto place = placeExtent({table_.placement(), capacity_bytes, extent_bytes,
                                  header.cursor_bytes.load(std::memory_order_relaxed)},
                                 used.extents);
  if (!place && used.punching_bytes > 0) return std::nullopt;
  if (!place)
    throw Error(ErrorCode::ERR_FULL,
                "the store has no room for " + std::to_string(request.size_bytes) + " bytes: " +
                    std::to_string(used.bytes) + " of " + std::to_string(capacity_bytes) +
                    " are used, and no gap is large enough; release or delete objects");
  const uint64_t id = table_.claim(
      lock,
      {ObjectState::kCreated, request.size_bytes, {*place, extent_bytes}, client_, request.site});
  header.cursor_bytes.store(*place + extent_bytes, std::memory_order_relaxed);
  return Room{id, shared_.data() + *place, request.size_bytes};
}

// Allocates the pages that the extent does not have. Where it has them all this is one look at the
// mapping: fallocate over existing pages would cost as much as over new ones.
void Store::backExtent(const Extent& extent) {
  unsigned char* start = shared_.data() + extent.offset_bytes;
  uint64_t done = 0;
  while (done < extent.extent_bytes) {
    const auto gap = findMissingPages(start + done, extent.extent_bytes - done);
    if (!gap) return;
    segment_->reserve(kArenaOffset + extent.offset_bytes + done + gap->offset_bytes, gap->bytes);
    done += gap->offset_bytes + gap->bytes;
  }
}

ObjectCopy Store::ownUnsealed(uint64_t id) const {
  requireClient();
  ObjectCopy object = table_.find(id);
  if (object.state != ObjectState::kCreated || object.creator != client_)
    throw Error(ErrorCode::ERR_STATE,
                "object " + std::to_string(id) + " is sealed already, or somebody else's");
  return object;
}

void Store::seal(uint64_t id) {
  const ObjectCopy object = ownUnsealed(id);
  if (!table_.transition(object, ObjectState::kCreated, ObjectState::kSealed))
    throw Error(ErrorCode::ERR_STATE, "object " + std::to_string(id) + " was sealed meanwhile");
  table_.header().puts.fetch_add(1, std::memory_order_relaxed);
}

void Store::abort(uint64_t id) { table_.release(ownUnsealed(id)); }

View Store::get(uint64_t id) {
  requireClient();
  ObjectCopy object = table_.find(id);
  if (object.state == ObjectState::kCreated)
    throw Error(ErrorCode::ERR_STATE, "object " + std::to_string(id) + " is not sealed yet");
  // First the reference, then a second look: who deletes it after the look sees the reference.
  table_.addReference(object.index, client_);
  try {
    object = table_.find(id);
    if (object.state != ObjectState::kSealed)
      throw Error(ErrorCode::ERR_GONE, "object " + std::to_string(id) + " was deleted");
    const View view = viewOf(object);
    table_.header().gets.fetch_add(1, std::memory_order_relaxed);
    return view;
  } catch (...) {
    table_.dropReference(object.index, client_);
    throw;
  }
}

View Store::viewOf(const ObjectCopy& object) {
  if (private_.data() != nullptr)
    return {private_.data() + object.extent.offset_bytes, object.size_bytes, false};
  auto* copy = static_cast<unsigned char*>(malloc(std::max<uint64_t>(1, object.size_bytes)));
  if (copy == nullptr)
    throw Error(ErrorCode::ERR_NO_MEMORY, "no memory for a copy of object " +
                                              std::to_string(object.id()) + ", " +
                                              std::to_string(object.size_bytes) + " bytes");
  memcpy(copy, shared_.data() + object.extent.offset_bytes, object.size_bytes);
  return {copy, object.size_bytes, true};
}

void Store::release(uint64_t id, const View& view) {
  const uint64_t extent_bytes = wholePages(view.size_bytes);
  if (view.copied)
    free(view.bytes);
  else if (trim_ || hasCopiedPages(view.bytes, extent_bytes))
    // A copied page that stayed would be read as part of the next object at this place.
    dropEntries(view.bytes, extent_bytes);
  table_.dropReference(static_cast<uint32_t>(id % kMaxObjects), client_);
}

void Store::remove(uint64_t id) {
  requireClient();
  const ObjectCopy object = table_.find(id);
  if (table_.transition(object, ObjectState::kSealed, ObjectState::kDeleted)) return;
  if (table_.find(id).state == ObjectState::kCreated)
    throw Error(ErrorCode::ERR_STATE,
                "object " + std::to_string(id) + " is not sealed yet; its creator can abort it");
  throw Error(ErrorCode::ERR_GONE, "object " + std::to_string(id) + " was deleted already");
}

std::vector<ObjectInfo> Store::list() const {
  std::vector<ObjectInfo> infos;
  Liveness alive = table_.liveness(client_);
  const uint32_t count = table_.objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    std::optional<ObjectCopy> object = table_.read(index);
    if (!object || object->state == ObjectState::kPunching || !table_.isLive(*object, alive))
      continue;
    Holder creator{object->creator, object->creator_pid, ""};
    const auto client = table_.client(object->creator);
    if (client && client->pid == object->creator_pid) creator.label = client->label;
    std::vector<Holder> holders;
    for (uint32_t holder : table_.holders(index, alive)) holders.push_back(holderOf(holder));
    infos.push_back({std::move(*object), std::move(creator), std::move(holders)});
  }
  return infos;
}

Holder Store::holderOf(uint32_t client) const {
  const auto copy = table_.client(client);
  return copy ? Holder{client, copy->pid, copy->label} : Holder{client, 0, ""};
}

StoreStats Store::stats() const {
  const StoreHeader& header = table_.header();
  StoreStats stats{};
  stats.capacity_bytes = table_.capacityBytes();
  stats.placement = table_.placement();
  stats.puts = header.puts.load(std::memory_order_relaxed);
  stats.gets = header.gets.load(std::memory_order_relaxed);
  Liveness alive = table_.liveness(client_);
  const uint32_t count = table_.objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = table_.read(index);
    if (!object || object->state == ObjectState::kPunching || !table_.isLive(*object, alive))
      continue;
    stats.objects++;
    stats.live_bytes += object->size_bytes;
    stats.arena_bytes += object->extent.extent_bytes;
  }
  const uint32_t clients = std::min(header.clients_used.load(), kMaxClients);
  for (uint32_t index = 0; index < clients; index++) stats.clients += alive.alive(index) ? 1 : 0;
  stats.resident_bytes = segment_->residentBytes();
  return stats;
}

uint64_t Store::giveBack(uint64_t keep_bytes) {
  requireClient();
  uint64_t given_bytes = 0;
  for (;;) {
    Extent gap{};
    ObjectCopy claimed{};
    {
      const StoreTable::Lock lock(table_, kGiveBackTimeoutUs);
      const StoreTable::Usage used = table_.reclaim(lock, client_);
      const uint64_t used_bytes = used.bytes - used.punching_bytes;
      const uint64_t resident_bytes = segment_->residentBytes();
      if (resident_bytes <= used_bytes + std::max(keep_bytes, used_bytes)) return given_bytes;
      std::vector<Extent> gaps = gapsBetween(used.extents, table_.capacityBytes());
      const auto top = std::find_if(gaps.rbegin(), gaps.rend(),
                                    [this](Extent& one) { return firstPageOf(one); });
      if (top == gaps.rend()) return given_bytes;
      gap = *top;
      gap.extent_bytes = std::min(gap.extent_bytes, kPunchBytes);
      // While its pages go, the room is an object of ours: nobody can be given a part of it.
      const uint64_t id =
          table_.claim(lock, {ObjectState::kPunching, 0, gap, client_, std::string()});
      claimed = table_.read(static_cast<uint32_t>(id % kMaxObjects)).value();
    }
    try {
      given_bytes += punch(gap);
    } catch (...) {
      table_.release(claimed);
      throw;
    }
    table_.release(claimed);
  }
}

// True if the gap has pages; moves its start to the first of them.
bool Store::firstPageOf(Extent& gap) const {
  const off_t start = static_cast<off_t>(kArenaOffset + gap.offset_bytes);
  const off_t data = lseek(segment_->fd(), start, SEEK_DATA);
  if (data < 0 || data >= start + static_cast<off_t>(gap.extent_bytes)) return false;
  const uint64_t skipped = static_cast<uint64_t>(data - start) / kPageBytes * kPageBytes;
  gap.offset_bytes += skipped;
  gap.extent_bytes -= skipped;
  return true;
}

uint64_t Store::punch(const Extent& gap) {
  const uint64_t before = segment_->residentBytes();
  const off_t start = static_cast<off_t>(kArenaOffset + gap.offset_bytes);
  int result;
  do {
    result = fallocate(segment_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, start,
                       static_cast<off_t>(gap.extent_bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw Error::fromErrno("fallocate(PUNCH_HOLE)", segment_->path());
  const uint64_t after = segment_->residentBytes();
  return before > after ? before - after : 0;
}

void Store::requireClient() const {
  if (client_ != kNoClient) return;
  throw Error(ErrorCode::ERR_STATE,
              "this store was opened read-only: it can be listed, not used; open it without "
              "readOnly");
}

}  // namespace memdrift
