// SPDX-License-Identifier: MIT
// A store whose table somebody else writes to, which every process of the same user may do.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstring>
#include <fstream>
#include <functional>
#include <initializer_list>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "errors.h"
#include "test/hostile_store.h"

namespace memdrift {

namespace {

// True if all of it is of one mapping of the arena.
bool isOfArena(const Store& store, const unsigned char* bytes, uint64_t size_bytes) {
  const auto first = reinterpret_cast<uint64_t>(bytes);
  std::ifstream maps("/proc/self/maps");
  for (std::string line; std::getline(maps, line);) {
    unsigned long from = 0, to = 0, offset = 0;
    if (sscanf(line.c_str(), "%lx-%lx %*s %lx", &from, &to, &offset) != 3) return false;
    if (first < from || first >= to) continue;
    const uint64_t at = offset + (first - from);
    return line.find(store.segment().path()) != std::string::npos && size_bytes <= to - first &&
           at >= kArenaOffset && at + size_bytes <= kArenaOffset + kCapacityBytes;
  }
  return false;
}

// A process that writes to the table as fast as it can: anything anywhere, and more often what
// looks right where it matters. Now and then it mends what would end every call at its first look.
class Vandal {
 public:
  explicit Vandal(const Store& store) : pid_(fork()) {
    if (pid_ != 0) return;
    // It may be the end of the test that is tested here.
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    work(OpenTable(store));
  }
  ~Vandal() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  Vandal(const Vandal&) = delete;

 private:
  [[noreturn]] static void work(const OpenTable& table) {
    std::mt19937_64 random(1);
    const std::vector<unsigned char> header(table.bytes(), table.bytes() + kClientsOffset);
    for (uint64_t count = 0;; count++) {
      unsigned char* place = table.bytes() + placeOf(random);
      const uint64_t value = valueOf(random);
      uint64_t before;
      memcpy(&before, place, sizeof before);
      memcpy(place, &value, sizeof value);
      if (random() % 4 != 0) memcpy(place, &before, sizeof before);
      if (count % 64 != 0) continue;
      memcpy(table.bytes(), header.data(), header.size());
      for (uint64_t index = 0; index < 64; index++)
        table.slot(index).state.store(packState(random() % 1000, ObjectState::kFree));
      usleep(static_cast<useconds_t>(random() % 2000));
    }
  }

  static size_t placeOf(std::mt19937_64& random) {
    const size_t slot = kObjectsOffset + random() % 32 * sizeof(ObjectSlot);
    switch (random() % 8) {
      case 0:
        return random() % (kObjectsOffset + 8 * kPageBytes);
      case 1:
        return kStoreHeaderOffset + random() % 8 * 8;
      case 2:
        return kClientsOffset + random() % 32 * 8;
      case 3:
        return slot + random() % (sizeof(ObjectSlot) / 8) * 8;
      default:
        return slot + random() % 4 * 8;
    }
  }

  static uint64_t valueOf(std::mt19937_64& random) {
    switch (random() % 6) {
      case 0:
        return random();
      case 1:
        return random() % 64 * kPageBytes;
      case 2:
        return kCapacityBytes - random() % 4 * kPageBytes;
      case 3:
        return random() % 16;
      case 4:
        return UINT64_MAX >> random() % 64;
      default:
        return packState(random() % 1000, static_cast<ObjectState>(random() % 6));
    }
  }

  pid_t pid_;
};

// What went wrong, said by any thread.
class Complaints {
 public:
  void add(const std::string& what) {
    const std::lock_guard lock(mutex_);
    if (all_.size() < 10) all_.push_back(what);
  }
  std::vector<std::string> all() const { return all_; }

 private:
  std::mutex mutex_;
  std::vector<std::string> all_;
};

class Worker {
 public:
  Worker(std::vector<std::shared_ptr<Store>> stores, unsigned seed, Complaints& complaints)
      : stores_(std::move(stores)), random_(seed), complaints_(complaints) {}

  uint64_t objectsRead() const { return objects_read_; }
  uint64_t refusals() const { return refusals_; }

  void step() {
    using enum ErrorCode;
    Store& store = *stores_[random_() % stores_.size()];
    allowed({ERR_FULL, ERR_CORRUPT, ERR_BUSY, ERR_STATE, ERR_GONE}, [&] { makeAndRead(store); });
    allowed({ERR_CORRUPT}, [&] { readAnother(store); });
    allowed({ERR_GONE, ERR_STATE, ERR_CORRUPT}, [&] {
      store.remove(packState(random_() % 1000, ObjectState::kFree) / 256 * kMaxObjects);
    });
    allowed({ERR_CORRUPT}, [&] { store.stats(); });
    if (random_() % 16 == 0)
      allowed({ERR_CORRUPT, ERR_BUSY, ERR_FULL}, [&] { store.giveBack(0, kTimeoutUs); });
    if (random_() % 64 == 0)
      allowed({ERR_CORRUPT, ERR_MALFORMED, ERR_FULL, ERR_BUSY, ERR_GONE},
              [&] { Store::open(store.segment().name(), {}); });
  }

 private:
  void allowed(std::initializer_list<ErrorCode> codes, const std::function<void()>& call) {
    try {
      call();
    } catch (const Error& error) {
      refusals_ += error.code() == ErrorCode::ERR_CORRUPT;
      if (std::find(codes.begin(), codes.end(), error.code()) == codes.end())
        complaints_.add(std::string(errorCodeName(error.code())) + ": " + error.what());
    }
  }

  void makeAndRead(Store& store) {
    const Room room = store.create({random_() % 20'000, "", kTimeoutUs, random_() % 2 == 0});
    if (room.id > kMaxSafeInteger) complaints_.add("an id that is no safe integer");
    checkPlace(store, room.bytes, room.size_bytes);
    fill(room);
    if (random_() % 8 == 0) return store.abort(room.id);
    store.seal(room.id).giveUp();
    read(store, room.id);
    store.remove(room.id);
  }

  void readAnother(Store& store) {
    for (const ObjectInfo& info : store.list()) {
      if (info.object.id() > kMaxSafeInteger) complaints_.add("an id that is no safe integer");
      allowed({ErrorCode::ERR_GONE, ErrorCode::ERR_STATE, ErrorCode::ERR_CORRUPT},
              [&] { read(store, info.object.id()); });
    }
  }

  void read(Store& store, uint64_t id) {
    const View view = store.get(id);
    checkPlace(store, view.bytes, view.size_bytes);
    sumOf(view);
    store.release(id);
    objects_read_++;
  }

  void checkPlace(const Store& store, const unsigned char* bytes, uint64_t size_bytes) {
    if (!isOfArena(store, bytes, size_bytes)) complaints_.add("memory outside of the arena");
  }

  std::vector<std::shared_ptr<Store>> stores_;
  std::mt19937_64 random_;
  Complaints& complaints_;
  uint64_t objects_read_ = 0;
  uint64_t refusals_ = 0;
};

}  // namespace

TEST(StoreHostile, OutlivesAProcessThatWritesToItsTableAtFullSpeed) {
  auto whole = makeStore();
  auto each = [&] {
    AttachOptions attach = mappingEach();
    attach.trim = true;
    return Store::open(whole->segment().name(), attach);
  }();
  Complaints complaints;
  std::atomic<uint64_t> objects_read{0};
  std::atomic<uint64_t> refusals{0};
  // A call that does not end is ended, with the test, by this.
  alarm(120);
  {
    const Vandal vandal(*whole);
    const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(3);
    std::vector<std::thread> threads;
    for (unsigned seed = 0; seed < 3; seed++) {
      threads.emplace_back([&, seed] {
        Worker worker({whole, each}, seed, complaints);
        do {
          worker.step();
        } while (std::chrono::steady_clock::now() < end);
        objects_read += worker.objectsRead();
        refusals += worker.refusals();
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  alarm(0);
  EXPECT_EQ(complaints.all(), std::vector<std::string>());
  // Neither was everything refused nor nothing.
  EXPECT_GT(objects_read, uint64_t{0});
  EXPECT_GT(refusals, uint64_t{0});
  printf("%lu objects read, %lu refusals\n", objects_read.load(), refusals.load());
  // Vandalised headers could not be seen to be alone or not: nothing may be left behind.
  Segment::unlink(whole->segment().name());
}

}  // namespace memdrift
