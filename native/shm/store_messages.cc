// SPDX-License-Identifier: MIT
// What channels need of a store: objects that are nobody's but a message's.
#include <unistd.h>

#include <algorithm>
#include <chrono>

#include "errors.h"
#include "shm/store.h"

namespace memdrift {

namespace {

// Who waits for the table's lock in take() has the readings locked, which an event loop may want.
constexpr uint64_t kReadingsLockedUs = 1'000;
constexpr useconds_t kTakePauseUs = 200;

}  // namespace

Leftover Store::sealHeld(uint64_t id) {
  Filling filling = takeFilling(id);
  const ObjectCopy& object = filling.object;
  const std::lock_guard lock(readings_mutex_);
  try {
    // The reference comes first: whoever sees the object deleted sees that it is held. Until then
    // it is unsealed, which a dead creator's objects are cleared of; after it, it is held by him
    // alone, which ends with him.
    table_.addReference(object.index, client_);
    addReading(object).holds = 1;
    if (!table_.transition(object, ObjectState::kCreated, ObjectState::kDeleted))
      throw Error(ErrorCode::ERR_CORRUPT,
                  "object " + std::to_string(id) +
                      " was changed by something else while it was filled; it is lost");
  } catch (...) {
    readings_.erase(id);
    table_.dropReference(object.index, client_);
    table_.release(object);
    throw;
  }
  table_.header().puts.add(1);
  return leftoverOf(std::move(filling));
}

View Store::take(uint64_t id, uint64_t lock_timeout_us) {
  requireClient();
  const auto deadline =
      std::chrono::steady_clock::now() + std::chrono::microseconds(lock_timeout_us);
  for (;;) {
    try {
      return takeOnce(id, std::min(lock_timeout_us, kReadingsLockedUs));
    } catch (const Error& error) {
      const bool in_time = std::chrono::steady_clock::now() < deadline;
      if (error.code() != ErrorCode::ERR_BUSY || !in_time) throw;
    }
    usleep(kTakePauseUs);
  }
}

// A deleted object becomes free in one place alone, reclaim(), by one who has the table's lock. So
// with the lock what is found deleted stays so, held by somebody or not, until we let go of the
// lock; and whoever reclaims after that finds our reference, because he reads the references with
// the lock too. Without the lock he might have read our word of them before we set our bit, and
// the word of the last other holder after that one had died.
View Store::takeOnce(uint64_t id, uint64_t lock_timeout_us) {
  const std::lock_guard readings_lock(readings_mutex_);
  if (Reading* held = findReading(id)) return held->view();
  std::optional<ObjectCopy> object;
  {
    const StoreTable::Lock lock(table_, lock_timeout_us);
    object = table_.find(id);
    if (object->state != ObjectState::kSealed && object->state != ObjectState::kDeleted)
      throw notReadable(*object);
    table_.addReference(object->index, client_);
  }
  try {
    const View view = addReading(*object).view();
    table_.header().gets.add(1);
    return view;
  } catch (...) {
    table_.dropReference(object->index, client_);
    throw;
  }
}

// It need not be there for others any more where it is held here.
void Store::holdOrGet(uint64_t id) {
  const std::lock_guard lock(readings_mutex_);
  Reading* held = findReading(id);
  (held != nullptr ? *held : getReading(id)).holds++;
}

bool Store::claimChannel(uint64_t key) {
  requireClient();
  return channels_.claim(key);
}

void Store::dropChannel(uint64_t key) { channels_.drop(key); }

ReceiverState Store::receiver(uint64_t key) const {
  requireClient();
  return channels_.receiver(key);
}

}  // namespace memdrift
