// SPDX-License-Identifier: MIT
// Objects of messages: deleted from the start, and alive while an end of a channel holds them.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <deque>
#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "shm/store.h"
#include "test/code_of.h"

namespace memdrift {

namespace {

constexpr uint64_t kTimeoutUs = 5'000'000;

std::shared_ptr<Store> makeStore(const AttachOptions& attach = {}) {
  static std::atomic<int> count{0};
  const std::string name =
      "gtest-message-" + std::to_string(getpid()) + "-" + std::to_string(count++);
  return Store::create({name, 1 << 20}, attach);
}

uint64_t makeHeld(Store& store, uint64_t size_bytes, int value) {
  const Room room = store.create({size_bytes, "", kTimeoutUs, false});
  memset(room.bytes, value, size_bytes);
  store.sealHeld(room.id);
  return room.id;
}

// An attachment of a process that is killed after it has made an object and said which.
uint64_t madeByAKilledProcess(const std::string& name, uint64_t size_bytes) {
  int ends[2];
  if (pipe(ends) != 0) return 0;
  const pid_t pid = fork();
  if (pid == 0) {
    const uint64_t id = makeHeld(*Store::open(name, {}), size_bytes, 3);
    if (write(ends[1], &id, sizeof id) != sizeof id) _exit(1);
    kill(getpid(), SIGKILL);
  }
  uint64_t id = 0;
  EXPECT_EQ(read(ends[0], &id, sizeof id), static_cast<ssize_t>(sizeof id));
  close(ends[0]);
  close(ends[1]);
  waitpid(pid, nullptr, 0);
  return id;
}

}  // namespace

TEST(StoreMessages, AreTakenByWhoKnowsTheIdAndGotByNobody) {
  const auto sender = makeStore();
  const auto receiver = Store::open(sender->segment().name(), {});
  const uint64_t id = makeHeld(*sender, 5000, 7);
  EXPECT_EQ(codeOf([&] { receiver->get(id); }), ErrorCode::ERR_GONE);
  const View view = receiver->take(id, kTimeoutUs);
  ASSERT_EQ(view.size_bytes, uint64_t{5000});
  EXPECT_EQ(view.bytes[4999], 7);
  sender->letGo(id);
  EXPECT_EQ(receiver->stats().objects, uint32_t{1});
  // Its room is used again by nobody while the receiver has it.
  makeHeld(*sender, 5000, 9);
  EXPECT_EQ(view.bytes[0], 7);
  receiver->release(id);
  EXPECT_EQ(receiver->stats().objects, uint32_t{1});
}

TEST(StoreMessages, AreGoneOnceTheirRoomWasUsedAgain) {
  const auto sender = makeStore();
  const auto receiver = Store::open(sender->segment().name(), {});
  const uint64_t id = makeHeld(*sender, 5000, 7);
  sender->letGo(id);
  makeHeld(*sender, 5000, 8);
  EXPECT_EQ(codeOf([&] { receiver->take(id, kTimeoutUs); }), ErrorCode::ERR_GONE);
}

TEST(StoreMessages, TakeNothingThatIsNotSealed) {
  const auto sender = makeStore();
  const auto receiver = Store::open(sender->segment().name(), {});
  const Room room = sender->create({100, "", kTimeoutUs, false});
  EXPECT_EQ(codeOf([&] { receiver->take(room.id, kTimeoutUs); }), ErrorCode::ERR_STATE);
  sender->abort(room.id);
  EXPECT_EQ(codeOf([&] { receiver->take(room.id, kTimeoutUs); }), ErrorCode::ERR_GONE);
  EXPECT_EQ(codeOf([&] { sender->sealHeld(room.id); }), ErrorCode::ERR_STATE);
}

TEST(StoreMessages, EndWithTheirSenderUnlessTheyWereTaken) {
  const auto store = makeStore();
  const uint64_t id = madeByAKilledProcess(store->segment().name(), 900'000);
  ASSERT_NE(id, uint64_t{0});
  EXPECT_EQ(store->stats().live_bytes, uint64_t{0});
  makeHeld(*store, 900'000, 1);
  EXPECT_EQ(codeOf([&] { store->take(id, kTimeoutUs); }), ErrorCode::ERR_GONE);
}

TEST(StoreMessages, CanBeTakenAfterTheirSenderUntilTheRoomIsWanted) {
  const auto store = makeStore();
  const uint64_t id = madeByAKilledProcess(store->segment().name(), 900'000);
  const View view = store->take(id, kTimeoutUs);
  EXPECT_EQ(codeOf([&] { store->create({900'000, "", kTimeoutUs, false}); }), ErrorCode::ERR_FULL);
  EXPECT_EQ(view.bytes[899'999], 3);
}

TEST(StoreMessages, AreHeldAsOftenAsTheyAreTaken) {
  const auto store = makeStore();
  const uint64_t id = makeHeld(*store, 100, 5);
  const View view = store->take(id, kTimeoutUs);
  store->holdOrGet(id);
  store->letGo(id);
  store->letGo(id);
  EXPECT_EQ(codeOf([&] { store->letGo(id); }), ErrorCode::ERR_STATE);
  EXPECT_EQ(store->stats().objects, uint32_t{1});
  EXPECT_EQ(view.bytes[99], 5);
  store->release(id);
  EXPECT_EQ(store->stats().objects, uint32_t{0});
  EXPECT_EQ(codeOf([&] { store->holdOrGet(id); }), ErrorCode::ERR_GONE);
}

TEST(StoreMessages, ShowNothingThatWasWrittenToAnEarlierView) {
  for (const bool whole_arena : {true, false}) {
    AttachOptions attach;
    attach.whole_arena = whole_arena;
    const auto store = makeStore(attach);
    const uint64_t id = makeHeld(*store, 10'000, 5);
    store->take(id, kTimeoutUs).bytes[9'999] = 6;
    store->release(id);
    EXPECT_EQ(codeOf([&] { store->release(id); }), ErrorCode::ERR_STATE);
    // The message is still on its way.
    EXPECT_EQ(store->take(id, kTimeoutUs).bytes[9'999], 5);
  }
}

TEST(StoreMessages, SayThatTheLockIsBusy) {
  const auto store = makeStore();
  const auto receiver = Store::open(store->segment().name(), {});
  const uint64_t id = makeHeld(*store, 100, 5);
  const auto segment = Segment::open(store->segment().name(), SegmentKind::kStore);
  StoreTable table(*segment, false);
  std::optional<StoreTable::Lock> lock;
  lock.emplace(table, kTimeoutUs);
  EXPECT_EQ(codeOf([&] { receiver->take(id, 500); }), ErrorCode::ERR_BUSY);
  std::thread waiting([&] { receiver->take(id, kTimeoutUs); });
  // Longer than one try: what is held can be got meanwhile.
  usleep(5'000);
  EXPECT_EQ(codeOf([&] { receiver->hold(id); }), ErrorCode::ERR_STATE);
  lock.reset();
  waiting.join();
  receiver->release(id);
}

// Whether something is freed under the hands of who has taken it: then it is made anew by another.
TEST(StoreMessages, StayAsTheyAreWhileOthersWantTheRoom) {
  const auto store = makeStore();
  const std::string name = store->segment().name();
  std::atomic<uint64_t> offered{makeHeld(*store, 40'000, 1)};
  std::atomic<bool> done{false};
  std::atomic<uint64_t> taken{0};
  std::vector<std::thread> threads;
  threads.emplace_back([&] {
    const auto sender = Store::open(name, {});
    for (int i = 0; i < 3000; i++) {
      const uint64_t id = makeHeld(*sender, 40'000, i % 250 + 1);
      offered.store(id);
      sender->letGo(id);
    }
    done.store(true);
  });
  for (int i = 0; i < 2; i++) {
    threads.emplace_back([&] {
      const auto receiver = Store::open(name, {});
      struct Kept {
        uint64_t id;
        unsigned char* bytes;
        unsigned char first;
      };
      std::deque<Kept> kept;
      while (!done.load()) {
        try {
          const uint64_t id = offered.load();
          const View view = receiver->take(id, kTimeoutUs);
          kept.push_back({id, view.bytes, view.bytes[0]});
          taken.fetch_add(1);
        } catch (const Error& error) {
          ASSERT_EQ(error.code(), ErrorCode::ERR_GONE) << error.what();
        }
        if (kept.size() < 5) continue;
        const Kept oldest = kept.front();
        kept.pop_front();
        for (int at = 0; at < 40'000; at += 1000) ASSERT_EQ(oldest.bytes[at], oldest.first);
        receiver->release(oldest.id);
      }
    });
  }
  for (std::thread& one : threads) one.join();
  EXPECT_GT(taken.load(), uint64_t{5});
}

TEST(StoreMessages, LeaveNothingWhereverTheirSenderIsKilled) {
  const auto store = makeStore();
  int status = 0;
  uint64_t point = 0;
  do {
    point++;
    const pid_t pid = fork();
    if (pid == 0) {
      const auto sender = Store::open(store->segment().name(), {});
      const Room room = sender->create({900'000, "", kTimeoutUs, false});
      crashAt(point);
      sender->sealHeld(room.id);
      _exit(0);
    }
    waitpid(pid, &status, 0);
    EXPECT_EQ(store->stats().live_bytes, uint64_t{0}) << "killed at point " << point;
  } while (WIFSIGNALED(status));
  // The reference, the state, and the count.
  EXPECT_GE(point, uint64_t{3});
}

TEST(StoreMessages, HaveOneReceiverPerChannelWhoeverDies) {
  const auto store = makeStore();
  const auto other = Store::open(store->segment().name(), {});
  EXPECT_TRUE(store->claimChannel(77));
  EXPECT_FALSE(other->claimChannel(77));
  EXPECT_TRUE(other->claimChannel(78));
  store->dropChannel(77);
  EXPECT_TRUE(other->claimChannel(77));
  const pid_t pid = fork();
  if (pid == 0) {
    const bool claimed = Store::open(store->segment().name(), {})->claimChannel(79);
    if (!claimed) _exit(1);
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_TRUE(store->claimChannel(79));
}

}  // namespace memdrift
