// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <string>

#include "shm/store.h"

namespace memdrift {
namespace {

using enum ReceiverState;

constexpr uint64_t kKey = 77;

std::string freshName() {
  static int count = 0;
  return "gtest-channel-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

std::shared_ptr<Store> makeStore() { return Store::create({freshName(), 1 << 20}, {}); }

std::shared_ptr<Store> again(const std::shared_ptr<Store>& store) {
  return Store::open(store->segment().name(), {});
}

// Runs `body` in a process that is killed after it.
void killedAfter(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    kill(getpid(), SIGKILL);
  }
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  ASSERT_TRUE(WIFSIGNALED(status));
}

TEST(ChannelTable, TellsAliveFromClosedReceivers) {
  const auto store = makeStore();
  const auto other = again(store);
  EXPECT_EQ(other->receiver(kKey), kNever);
  ASSERT_TRUE(store->claimChannel(kKey));
  EXPECT_EQ(store->receiver(kKey), kAlive);
  EXPECT_EQ(other->receiver(kKey), kAlive);
  EXPECT_EQ(other->receiver(kKey + 1), kNever);
  store->dropChannel(kKey);
  EXPECT_EQ(store->receiver(kKey), kClosed);
  EXPECT_EQ(other->receiver(kKey), kClosed);
  ASSERT_TRUE(other->claimChannel(kKey));
  EXPECT_EQ(store->receiver(kKey), kAlive);
}

TEST(ChannelTable, TellsGoneFromClosedReceivers) {
  const auto store = makeStore();
  killedAfter([&] {
    auto* receiver = new std::shared_ptr<Store>(again(store));
    if (!(*receiver)->claimChannel(kKey)) _exit(1);
  });
  EXPECT_EQ(store->receiver(kKey), kGone);
}

TEST(ChannelTable, TellsWhetherTheMakerOfTheStoreIsThere) {
  auto store = makeStore();
  const auto other = again(store);
  ASSERT_TRUE(other->claimChannel(kKey));
  store.reset();
  EXPECT_EQ(other->receiver(kKey), kAlive);
  EXPECT_EQ(other->receiver(kKey + 1), kMakerClosed);
  other->dropChannel(kKey);
  EXPECT_EQ(other->receiver(kKey), kClosed);
}

TEST(ChannelTable, TellsWhenTheMakerOfTheStoreWasKilled) {
  const std::string name = freshName();
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  const pid_t pid = fork();
  if (pid == 0) {
    new std::shared_ptr<Store>(Store::create({name, 1 << 20}, {}));
    if (write(ends[1], "x", 1) != 1) _exit(1);
    pause();
  }
  char made = 0;
  ASSERT_EQ(read(ends[0], &made, 1), 1);
  const auto other = Store::open(name, {});
  EXPECT_EQ(other->receiver(kKey), kNever);
  kill(pid, SIGKILL);
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_EQ(other->receiver(kKey), kMakerGone);
  close(ends[0]);
  close(ends[1]);
}

TEST(ChannelTable, KeepsLivingReceiversWhenThereAreMoreChannelsThanRecords) {
  const auto store = makeStore();
  const auto other = again(store);
  ASSERT_TRUE(store->claimChannel(kKey));
  for (uint64_t key = 1000; key < 1000 + 3 * kMaxChannels; key++) {
    ASSERT_TRUE(other->claimChannel(key));
    other->dropChannel(key);
    ASSERT_EQ(store->receiver(key), kClosed);
  }
  EXPECT_EQ(other->receiver(kKey), kAlive);
  store->dropChannel(kKey);
  EXPECT_EQ(other->receiver(kKey), kClosed);
}

}  // namespace
}  // namespace memdrift
