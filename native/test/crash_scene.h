// SPDX-License-Identifier: MIT
// A store with objects of known bytes, in which a process dies, and what must be true of it then.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "errors.h"
#include "shm/store.h"
#include "test/crash_child.h"

namespace memdrift {

inline constexpr uint64_t kTimeoutUs = 20'000'000;
inline constexpr uint64_t kSceneBytes = 1 << 20;

inline std::string freshStoreName() {
  static int count = 0;
  return "gtest-crash-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

inline bool fileExists(const std::string& name) {
  return access(("/dev/shm/memdrift." + name).c_str(), F_OK) == 0;
}

// Every byte follows from the object's size, so that each tells by itself whether it is right.
inline unsigned char byteAt(uint64_t size_bytes, uint64_t at) {
  return static_cast<unsigned char>(size_bytes * 131 + at * 7 + (at >> 8) + 1);
}

inline void fillHalf(const Room& room, int half) {
  const uint64_t middle = room.size_bytes / 2;
  const uint64_t end = half == 0 ? middle : room.size_bytes;
  for (uint64_t at = half == 0 ? 0 : middle; at < end; at++)
    room.bytes[at] = byteAt(room.size_bytes, at);
}

inline void fill(const Room& room) {
  fillHalf(room, 0);
  fillHalf(room, 1);
}

inline bool isWhole(const View& view) {
  for (uint64_t at = 0; at < view.size_bytes; at++) {
    if (view.bytes[at] != byteAt(view.size_bytes, at)) return false;
  }
  return true;
}

inline uint64_t makeSealed(Store& store, uint64_t size_bytes) {
  const Room room = store.create({size_bytes, "", kTimeoutUs, false});
  fill(room);
  store.seal(room.id);
  return room.id;
}

inline bool isGone(Store& store, uint64_t id) {
  try {
    store.get(id);
  } catch (const Error& error) {
    return error.code() == ErrorCode::ERR_GONE;
  }
  store.release(id);
  return false;
}

// A T that this process and its children have together.
template <typename T>
class InAllProcesses {
 public:
  InAllProcesses()
      : value_(new(mmap(nullptr, sizeof(T), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
                        0)) T()) {}
  ~InAllProcesses() { munmap(value_, sizeof(T)); }
  InAllProcesses(const InAllProcesses&) = delete;
  T* operator->() const { return value_; }
  T& operator*() const { return *value_; }

 private:
  T* value_;
};

struct Scene {
  std::string name = freshStoreName();
  std::shared_ptr<Store> store;
  // An attachment that only looks at the table, under the lock.
  std::unique_ptr<Segment> segment;
  std::unique_ptr<StoreTable> table;
  std::set<pid_t> living{getpid()};
  uint64_t kept = 0;
  uint64_t victim = 0;  // what others read and remove
  uint64_t held = 0;
  uint64_t held_and_deleted = 0;
  View held_view{};
  View deleted_view{};
};

inline constexpr uint64_t kVictimBytes = 12'345;

inline std::unique_ptr<Scene> makeScene(uint64_t capacity_bytes = kSceneBytes,
                                        WhenFull when_full = WhenFull::kKeep) {
  auto scene = std::make_unique<Scene>();
  scene->store =
      Store::create({scene->name, capacity_bytes, Placement::kLowest, false, when_full}, {});
  Store& store = *scene->store;
  scene->segment = Segment::open(scene->name, SegmentKind::kStore);
  scene->table = std::make_unique<StoreTable>(*scene->segment, false);
  scene->kept = makeSealed(store, 5'000);
  // Free room that has pages.
  const uint64_t removed = makeSealed(store, 40'000);
  scene->held = makeSealed(store, 9'000);
  scene->held_and_deleted = makeSealed(store, 20'001);
  scene->victim = makeSealed(store, kVictimBytes);
  scene->held_view = store.get(scene->held);
  scene->deleted_view = store.get(scene->held_and_deleted);
  store.remove(scene->held_and_deleted);
  store.remove(removed);
  return scene;
}

// Under the lock extents are disjoint (reclaim() throws otherwise), and what is not used is gaps.
inline uint64_t expectSoundTable(Scene& scene) {
  const StoreTable::Lock lock(*scene.table, kTimeoutUs);
  const TableScan scan = scene.table->reclaim(lock, kNoClient);
  uint64_t gaps_bytes = 0;
  for (const Extent& gap : gapsBetween(scan.used, scene.table->capacityBytes()))
    gaps_bytes += gap.extent_bytes;
  EXPECT_EQ(scan.used_bytes + gaps_bytes, scene.table->capacityBytes());
  return scan.used_bytes;
}

// What others than the living processes made is as it must be, and held by nobody.
inline void expectWholeObject(Scene& scene, const ObjectInfo& info) {
  const auto creator = static_cast<pid_t>(info.object.creator_pid);
  if (creator != getpid() && scene.living.contains(creator)) return;
  const uint64_t id = info.object.id();
  const size_t holders = id == scene.held || id == scene.held_and_deleted ? 1 : 0;
  EXPECT_EQ(info.holders.size(), holders) << info.object.size_bytes;
  EXPECT_NE(info.object.state, ObjectState::kCreated) << "filled by nobody";
  if (info.object.state != ObjectState::kSealed) return;
  EXPECT_TRUE(isWhole(scene.store->get(id))) << info.object.size_bytes;
  scene.store->release(id);
}

// Everything that must be true after the death of a process, whatever it was doing.
inline void expectWhole(Scene& scene, bool may_lack_victim) {
  Store& store = *scene.store;
  // It has the number of the dead, and nothing of what that had. Without a name nobody comes.
  std::shared_ptr<Store> successor;
  if (fileExists(scene.name)) successor = Store::open(scene.name, {});
  std::set<uint64_t> sealed;
  uint64_t extents_bytes = 0;
  for (const ObjectInfo& info : store.list()) {
    expectWholeObject(scene, info);
    extents_bytes += info.object.extent.extent_bytes;
    if (info.object.state == ObjectState::kSealed) sealed.insert(info.object.id());
  }
  EXPECT_TRUE(sealed.contains(scene.kept));
  EXPECT_TRUE(sealed.contains(scene.held));
  EXPECT_TRUE(sealed.contains(scene.victim) || may_lack_victim);
  EXPECT_TRUE(isWhole(scene.held_view));
  EXPECT_TRUE(isWhole(scene.deleted_view));
  EXPECT_TRUE(isGone(store, scene.held_and_deleted));
  const uint64_t used_bytes = expectSoundTable(scene);
  if (scene.living.size() == 1) {
    EXPECT_EQ(used_bytes, extents_bytes);
    EXPECT_EQ(used_bytes, store.stats().arena_bytes);
  }
}

inline void removeAll(Scene& scene, const std::function<bool(const ObjectInfo&)>& which) {
  for (const ObjectInfo& info : scene.store->list()) {
    if (info.object.state == ObjectState::kSealed && which(info))
      scene.store->remove(info.object.id());
  }
}

// For the next to die: what the last one removed is there again, what it made is not.
inline void renewVictim(Scene& scene) {
  removeAll(scene, [&](const ObjectInfo& info) {
    return !scene.living.contains(static_cast<pid_t>(info.object.creator_pid));
  });
  if (isGone(*scene.store, scene.victim)) scene.victim = makeSealed(*scene.store, kVictimBytes);
}

// To the last byte, and none of the ids of before is anything then.
inline void expectAllRoomUsable(Scene& scene) {
  Store& store = *scene.store;
  std::set<uint64_t> ids;
  for (const ObjectInfo& info : store.list()) ids.insert(info.object.id());
  store.release(scene.held);
  store.release(scene.held_and_deleted);
  removeAll(scene, [](const ObjectInfo&) { return true; });
  EXPECT_EQ(store.stats().live_bytes, uint64_t{0});
  const uint64_t id = makeSealed(store, store.stats().capacity_bytes);
  EXPECT_TRUE(isWhole(store.get(id)));
  store.release(id);
  store.remove(id);
  for (uint64_t old : ids) EXPECT_TRUE(isGone(store, old));
}

inline void endScene(std::unique_ptr<Scene> scene) {
  const std::string name = scene->name;
  scene.reset();
  EXPECT_FALSE(fileExists(name));
}

// A process that works in the store as fast as it can, and sees whether its bytes stay right.
class BusyProcess {
 public:
  explicit BusyProcess(Scene& scene) : scene_(scene) {
    fflush(nullptr);
    pid_ = fork();
    if (pid_ == 0) _exit(work(scene.name) ? 0 : 1);
    scene_.living.insert(pid_);
  }
  ~BusyProcess() {
    if (pid_ != 0) end();
  }
  BusyProcess(const BusyProcess&) = delete;

  bool isWell() const { return waitpid(pid_, nullptr, WNOHANG) == 0; }

  // Lets it come to its end; false if anything was wrong with its bytes.
  bool end() {
    news_->stopping = true;
    int status = 0;
    const bool ended = waitpid(std::exchange(pid_, 0), &status, 0) > 0;
    return ended && WIFEXITED(status) && WEXITSTATUS(status) == 0 && news_->rounds > 0;
  }

 private:
  struct News {
    std::atomic<bool> stopping{false};
    std::atomic<uint64_t> rounds{0};
  };

  bool work(const std::string& name) {
    try {
      auto store = Store::open(name, {});
      for (uint64_t round = 0; !news_->stopping || round == 0; round++, news_->rounds++) {
        const uint64_t size_bytes = 1 + round * 7919 % 60'000;
        const uint64_t first = makeSealed(*store, size_bytes);
        const uint64_t second = makeSealed(*store, 1 + size_bytes / 2);
        const bool whole = isWhole(store->get(first)) && isWhole(store->get(second));
        store->remove(first);
        if (round % 8 == 0) store->giveBack(0, kTimeoutUs);
        const bool still = isWhole(store->get(second));
        store->release(second);
        store->release(second);
        store->release(first);
        store->remove(second);
        if (!whole || !still) return complain("a wrong byte");
      }
    } catch (const std::exception& error) {
      return complain(error.what());
    }
    return true;
  }

  static bool complain(const char* what) {
    fprintf(stderr, "busy process: %s\n", what);
    return false;
  }

  Scene& scene_;
  InAllProcesses<News> news_;
  pid_t pid_ = 0;
};

}  // namespace memdrift
