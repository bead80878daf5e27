// SPDX-License-Identifier: MIT
// A store whose table somebody else has changed at one place, before a call or within it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "errors.h"
#include "test/hostile_store.h"

namespace memdrift {

namespace {

std::optional<ErrorCode> codeOf(const std::function<void()>& call) {
  try {
    call();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

}  // namespace

TEST(StoreMeddled, NeverGivesTheIdOfAnObjectThatIsStillFilled) {
  auto store = makeStore(mappingEach());
  const Room first = store->create({8192, "", kTimeoutUs, false});
  OpenTable(*store).slot(first.id).state.store(0);
  EXPECT_EQ(codeOf([&] { store->create({8192, "", kTimeoutUs, false}); }), ErrorCode::ERR_CORRUPT);
  fill(first);  // its mapping is still there
}

TEST(StoreMeddled, NeverTakesASlotBeyondThoseUsedThatIsNotFree) {
  auto store = makeStore();
  const Room room = store->create({1, "", kTimeoutUs, false});
  OpenTable(*store).slot(room.id + 1).state.store(packState(7, ObjectState::kSealed));
  EXPECT_EQ(codeOf([&] { store->create({1, "", kTimeoutUs, false}); }), ErrorCode::ERR_CORRUPT);
}

TEST(StoreMeddled, SeesThatTheFileEndsBeforeTheSlotsThatAreCounted) {
  auto store = makeStore();
  for (size_t i = 0; i < kPageBytes / sizeof(ObjectSlot); i++)
    store->create({1, "", kTimeoutUs, false});
  store->stats();  // from now on these slots are known to have memory
  OpenTable(*store).header().objects_used.store(64);
  ASSERT_EQ(ftruncate(store->segment().fd(), static_cast<off_t>(kObjectsOffset + kPageBytes)), 0);
  EXPECT_EQ(codeOf([&] { store->list(); }), ErrorCode::ERR_CORRUPT);
}

TEST(StoreMeddled, IsNotOpenedWhereItsTableHasAHole) {
  auto store = makeStore();
  const std::string name = store->segment().name();
  ASSERT_EQ(fallocate(store->segment().fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                      static_cast<off_t>(kClientsOffset + kPageBytes), kPageBytes),
            0);
  AttachOptions looking;
  looking.read_only = true;
  EXPECT_EQ(codeOf([&] { Store::open(name, looking); }), ErrorCode::ERR_CORRUPT);
  EXPECT_EQ(codeOf([&] { Store::open(name, {}); }), ErrorCode::ERR_CORRUPT);
}

TEST(StoreMeddled, MakesNoListOfGigabytesForWhoSaysThatEverybodyHoldsEverything) {
  auto store = makeStore();
  // Another process that holds the lock of every client, so that all are alive.
  const int other = open(store->segment().path().c_str(), O_RDWR | O_CLOEXEC);
  struct flock clients{};
  clients.l_type = F_WRLCK;
  clients.l_whence = SEEK_SET;
  clients.l_start = lockOffsetOfClient(1);
  clients.l_len = kMaxClients - 1;
  ASSERT_EQ(fcntl(other, F_OFD_SETLK, &clients), 0);
  const OpenTable table(*store);
  std::vector<Room> rooms;
  for (int i = 0; i < 250; i++) rooms.push_back(store->create({1, "", kTimeoutUs, false}));
  for (const Room& room : rooms)
    for (auto& word : table.slot(room.id).references) word.store(UINT64_MAX);
  EXPECT_EQ(store->list().at(0).holders.size(), size_t{kMaxClients});
  // More slots of the same form than the arena has pages for; lists do not look for overlaps.
  ASSERT_EQ(fallocate(other, 0, static_cast<off_t>(kObjectsOffset), 2000 * sizeof(ObjectSlot)), 0);
  for (size_t i = 250; i < 2000; i++)
    memcpy(static_cast<void*>(&table.slot(i)), &table.slot(rooms[0].id), sizeof(ObjectSlot));
  table.header().objects_used.store(2000);
  EXPECT_EQ(codeOf([&] { store->list(); }), ErrorCode::ERR_TOO_LARGE);
  close(other);
}

namespace {

// One value at one place of the table, written before one look of this process at it.
struct Meddling {
  unsigned char* place;
  uint64_t value;
  uint64_t look;
};
Meddling meddling{};

// Everything that an attachment can do, once.
void doEverything(Store& store) {
  const Room room = store.create({200, "here.js:1", 0, false, {1, 4, 1, {50}}});
  EXPECT_LE(room.id, kMaxSafeInteger);
  fill(room);
  store.seal(room.id).giveUp();
  const View view = store.get(room.id);
  EXPECT_LE(view.size_bytes, kCapacityBytes);
  sumOf(view);
  store.release(room.id);
  for (const ObjectInfo& info : store.list()) EXPECT_LE(info.object.id(), kMaxSafeInteger);
  store.stats();
  store.remove(room.id);
  store.giveBack(0, 0);
}

// Calls doEverything() once for each look that it takes at the table, with the value written before
// that look. Returns how many looks there are.
uint64_t meddleBeforeEachLook(Store& store, size_t offset, uint64_t value) {
  const OpenTable table(store);
  const std::vector<unsigned char> before(table.bytes(),
                                          table.bytes() + kObjectsOffset + kPageBytes);
  for (uint64_t look = 1;; look++) {
    meddling = {table.bytes() + offset, value, look};
    meddle = [] {
      if (meddling.look != 0 && --meddling.look == 0)
        memcpy(meddling.place, &meddling.value, sizeof meddling.value);
    };
    const auto code = codeOf([&] { doEverything(store); });
    meddle = nullptr;
    if (code == ErrorCode::ERR_SYSTEM || code == ErrorCode::ERR_NO_MEMORY)
      ADD_FAILURE() << "at look " << look << " for " << value << " at " << offset;
    memcpy(table.bytes(), before.data(), before.size());
    if (meddling.look != 0) return look;
  }
}

}  // namespace

TEST(StoreMeddled, EndsEachCallWhateverChangesBetweenTwoOfItsLooks) {
  const uint64_t values[] = {0,
                             UINT64_MAX,
                             kPageBytes,
                             kCapacityBytes - kPageBytes,
                             kMaxGeneration << 8,
                             kMaxGeneration << 8 | 2,
                             (kMaxGeneration + 1) << 8,
                             packState(1, ObjectState::kSealed),
                             packState(1, ObjectState::kPunching),
                             packState(2, ObjectState::kDeleted)};
  // A fresh attachment for each: one may be left with an object that the table has forgotten.
  const auto sweep = [&](const AttachOptions& attach, size_t offset) {
    for (const uint64_t value : values) {
      auto store = makeStore(attach);
      doEverything(*store);
      EXPECT_GT(meddleBeforeEachLook(*store, offset, value), uint64_t{100});
    }
  };
  const size_t state = kObjectsOffset + offsetof(ObjectSlot, state);
  for (const size_t offset :
       {state, state + 8, state + 16, state + 24, state + sizeof(ObjectSlot)}) {
    sweep({}, offset);
    sweep(mappingEach(), offset);
  }
  sweep({}, kStoreHeaderOffset + offsetof(StoreHeader, objects_used));
  sweep({}, kStoreHeaderOffset + offsetof(StoreHeader, cursor_bytes));
}

}  // namespace memdrift
