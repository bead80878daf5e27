// SPDX-License-Identifier: MIT
#include "shm/store.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "test/code_of.h"

namespace memdrift {

namespace {

constexpr uint64_t kTimeoutUs = 5'000'000;

std::string freshName() {
  static std::atomic<int> count{0};
  return "gtest-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

std::shared_ptr<Store> makeStore(uint64_t capacity_bytes) {
  return Store::create({freshName(), capacity_bytes}, {});
}

Room make(Store& store, uint64_t size_bytes, int value) {
  const Room room = store.create({size_bytes, "", kTimeoutUs, false});
  memset(room.bytes, value, size_bytes);
  store.seal(room.id);
  return room;
}

// Runs `body` in a process of its own that is killed where it ends.
void inKilledProcess(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    try {
      body();
    } catch (...) {
      _exit(1);
    }
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status)) << "the body failed before its end";
}

}  // namespace

TEST(Store, GivesWhatWasMadeAndKeepsItFromItsReaders) {
  auto store = makeStore(1 << 20);
  const Room room = make(*store, 5000, 7);
  auto reader = Store::open(store->segment().name(), {});
  const View view = reader->get(room.id);
  ASSERT_EQ(view.size_bytes, uint64_t{5000});
  EXPECT_EQ(view.bytes[4999], 7);
  view.bytes[0] = 9;
  const View other = store->get(room.id);
  EXPECT_EQ(other.bytes[0], 7);
  reader->release(room.id);
  store->release(room.id);
}

// As with mlockall: the kernel refuses to drop pages that are locked.
TEST(Store, LeavesNoCopiedPageBehindWhereMemoryIsLocked) {
  const auto store = makeStore(1'000'000);
  const Room first = make(*store, 8192, 7);
  const View view = store->get(first.id);
  ASSERT_EQ(mlock(view.bytes, view.size_bytes), 0);
  memset(view.bytes, 9, view.size_bytes);
  store->release(first.id);
  store->remove(first.id);
  const Room second = make(*store, 8192, 8);
  const View again = store->get(second.id);
  ASSERT_EQ(again.bytes, view.bytes);
  EXPECT_EQ(again.bytes[0], 8);
  EXPECT_EQ(again.bytes[8191], 8);
  store->release(second.id);
}

TEST(Store, HasItsRoomBackWhenAProducerIsKilled) {
  auto store = makeStore(1 << 20);
  const std::string name = store->segment().name();
  inKilledProcess([&] { Store::open(name, {})->create({900'000, "", kTimeoutUs, false}); });
  EXPECT_EQ(store->stats().live_bytes, uint64_t{0});
  make(*store, 900'000, 1);
}

TEST(Store, HasItsRoomBackWhenAReaderIsKilled) {
  auto store = makeStore(1 << 20);
  const std::string name = store->segment().name();
  const Room room = make(*store, 900'000, 1);
  inKilledProcess([&] {
    auto reader = Store::open(name, {});
    reader->get(room.id);
    kill(getpid(), SIGKILL);
  });
  store->remove(room.id);
  EXPECT_EQ(store->stats().live_bytes, uint64_t{0});
  make(*store, 900'000, 2);
  EXPECT_EQ(codeOf([&] { store->get(room.id); }), ErrorCode::ERR_GONE);
}

TEST(Store, IsNotHungByAHolderOfItsLockThatIsKilled) {
  auto store = makeStore(1 << 20);
  const std::string name = store->segment().name();
  inKilledProcess([&] {
    auto segment = Segment::open(name, SegmentKind::kStore);
    StoreTable table(*segment, false);
    const StoreTable::Lock lock(table, kTimeoutUs);
    kill(getpid(), SIGKILL);
  });
  make(*store, 1000, 1);
}

TEST(Store, SaysThatItIsBusyWhenTheLockIsHeld) {
  auto store = makeStore(1 << 20);
  auto segment = Segment::open(store->segment().name(), SegmentKind::kStore);
  StoreTable table(*segment, false);
  const StoreTable::Lock lock(table, kTimeoutUs);
  EXPECT_EQ(codeOf([&] { store->create({1, "", 1000, false}); }), ErrorCode::ERR_BUSY);
}

TEST(Store, KeepsEveryByteUnderThreadsOfSeveralAttachments) {
  auto store = makeStore(1 << 20);
  std::atomic<int> wrong{0};
  std::vector<std::thread> threads;
  for (int value = 1; value <= 4; value++) {
    threads.emplace_back([&, value] {
      auto mine = Store::open(store->segment().name(), {});
      for (int i = 0; i < 300; i++) {
        const Room room = make(*mine, 1 + static_cast<uint64_t>(i) * 97 % 50'000, value);
        const View view = mine->get(room.id);
        mine->remove(room.id);
        for (uint64_t at = 0; at < view.size_bytes; at++) wrong += view.bytes[at] != value;
        mine->release(room.id);
        if (i % 16 == 0) mine->giveBack(0, kTimeoutUs);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(store->stats().live_bytes, uint64_t{0});
}

TEST(Store, GivesBackFreePagesOnly) {
  auto store = makeStore(64 << 20);
  const Room kept = make(*store, 1 << 20, 5);
  std::vector<Room> rooms;
  for (int i = 0; i < 20; i++) rooms.push_back(make(*store, 1 << 20, 6));
  for (const Room& room : rooms) store->remove(room.id);
  const uint64_t before = store->stats().resident_bytes;
  const uint64_t given = store->giveBack(0, kTimeoutUs);
  EXPECT_GE(given, uint64_t{15} << 20);
  EXPECT_EQ(store->stats().resident_bytes, before - given);
  const View view = store->get(kept.id);
  EXPECT_EQ(view.bytes[(1 << 20) - 1], 5);
  store->release(kept.id);
}

TEST(Store, RefusesATableThatSomethingElseWroteTo) {
  auto store = makeStore(1 << 20);
  const Room room = make(*store, 1000, 1);
  const Mapping table({store->segment().fd(), 0, kArenaOffset, PROT_READ | PROT_WRITE, MAP_SHARED});
  auto* slots = reinterpret_cast<ObjectSlot*>(table.data() + kObjectsOffset);
  slots[room.id % kMaxObjects].offset_bytes.store(uint64_t{1} << 40);
  EXPECT_EQ(codeOf([&] { store->get(room.id); }), ErrorCode::ERR_CORRUPT);
  EXPECT_EQ(codeOf([&] { store->list(); }), ErrorCode::ERR_CORRUPT);
  EXPECT_EQ(codeOf([&] { store->create({1, "", kTimeoutUs, false}); }), ErrorCode::ERR_CORRUPT);
}

TEST(Store, TakesASlotAgainWithoutWhatItsDeadOwnerHeld) {
  auto store = makeStore(1 << 20);
  const std::string name = store->segment().name();
  const Room room = make(*store, 1000, 1);
  inKilledProcess([&] {
    auto reader = Store::open(name, {});
    reader->get(room.id);
    reader->create({2000, "", kTimeoutUs, false});
    kill(getpid(), SIGKILL);
  });
  // The same client number is alive again; neither the reference nor the object is the new one's.
  auto successor = Store::open(name, {});
  store->remove(room.id);
  EXPECT_EQ(store->stats().live_bytes, uint64_t{0});
}

TEST(Store, EvictsTheOldestWhenItHasNoSlot) {
  auto store = Store::create({freshName(), uint64_t{kMaxObjects} * kPageBytes + (1 << 20),
                              Placement::kLowest, false, WhenFull::kEvict},
                             {});
  uint64_t oldest = 0;
  {
    auto segment = Segment::open(store->segment().name(), SegmentKind::kStore);
    StoreTable table(*segment, false);
    const StoreTable::Lock lock(table, kTimeoutUs);
    const TableScan nothing_free;
    for (uint64_t i = 0; i < kMaxObjects; i++) {
      const ObjectCopy made =
          table.claim(lock, nothing_free,
                      {ObjectState::kSealed, 1, {i * kPageBytes, kPageBytes}, kNoClient, "", {}});
      if (i == 0) oldest = made.id();
    }
  }
  const View held = store->get(oldest);
  EXPECT_EQ(held.size_bytes, uint64_t{1});
  make(*store, 100, 1);
  EXPECT_EQ(store->stats().evictions, uint64_t{1});
  EXPECT_EQ(store->stats().objects, kMaxObjects);
  EXPECT_EQ(codeOf([&] { store->get(oldest + 1); }), ErrorCode::ERR_GONE);
  store->release(oldest);
}

TEST(Store, SaysThatSlotsAreShortWhereItDoesNotEvict) {
  auto store = makeStore(uint64_t{kMaxObjects} * kPageBytes + (1 << 20));
  {
    auto segment = Segment::open(store->segment().name(), SegmentKind::kStore);
    StoreTable table(*segment, false);
    const StoreTable::Lock lock(table, kTimeoutUs);
    const TableScan nothing_free;
    for (uint64_t i = 0; i < kMaxObjects; i++)
      table.claim(lock, nothing_free,
                  {ObjectState::kSealed, 1, {i * kPageBytes, kPageBytes}, kNoClient, "", {}});
  }
  EXPECT_EQ(codeOf([&] { make(*store, 100, 1); }), ErrorCode::ERR_FULL);
  EXPECT_EQ(store->stats().evictions, uint64_t{0});
}

TEST(Store, RefusesAShapeThatIsNotOfItsSize) {
  auto store = makeStore(1 << 20);
  const Room room = store->create({24, "", kTimeoutUs, false, {7, 4, 2, {2, 3}}});
  store->seal(room.id);
  const View view = store->get(room.id);
  EXPECT_EQ(view.elements.type, uint32_t{7});
  EXPECT_EQ(view.elements.shape[1], uint64_t{3});
  store->release(room.id);
  for (const Elements& wrong :
       {Elements{7, 4, 2, {2, 4}}, Elements{7, 0, 0, {}}, Elements{7, 5, 0, {}},
        Elements{7, 4, 9, {}}, Elements{7, 4, 3, {1ULL << 62, 1ULL << 62, 1ULL << 62}}})
    EXPECT_EQ(codeOf([&] { store->create({24, "", kTimeoutUs, false, wrong}); }),
              ErrorCode::ERR_INVALID);
  const Mapping table({store->segment().fd(), 0, kArenaOffset, PROT_READ | PROT_WRITE, MAP_SHARED});
  auto* slots = reinterpret_cast<ObjectSlot*>(table.data() + kObjectsOffset);
  slots[room.id % kMaxObjects].shape[0].store(3);
  EXPECT_EQ(codeOf([&] { store->get(room.id); }), ErrorCode::ERR_CORRUPT);
}

}  // namespace memdrift
