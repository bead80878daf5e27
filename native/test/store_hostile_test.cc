// SPDX-License-Identifier: MIT
// A store whose table somebody else writes to, which every process of the same user may do.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
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
#include "shm/store.h"

namespace memdrift {

namespace {

constexpr uint64_t kCapacityBytes = 1 << 20;
constexpr uint64_t kTimeoutUs = 200'000;
constexpr uint64_t kMaxSafeInteger = (uint64_t{1} << 53) - 1;

std::shared_ptr<Store> makeStore(const AttachOptions& attach = {}) {
  static std::atomic<int> count{0};
  return Store::create({"gtest-hostile-" + std::to_string(getpid()) + "-" + std::to_string(count++),
                        kCapacityBytes, Placement::kLowest, true},
                       attach);
}

AttachOptions mappingEach() {
  AttachOptions attach;
  attach.whole_arena = false;
  return attach;
}

std::optional<ErrorCode> codeOf(const std::function<void()>& call) {
  try {
    call();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

// The table as whoever can open the file sees it.
class OpenTable {
 public:
  explicit OpenTable(const Store& store)
      : mapping_({store.segment().fd(), 0, kArenaOffset, PROT_READ | PROT_WRITE, MAP_SHARED}) {}

  unsigned char* bytes() const { return mapping_.data(); }
  StoreHeader& header() const {
    return *reinterpret_cast<StoreHeader*>(bytes() + kStoreHeaderOffset);
  }
  ObjectSlot& slot(uint64_t id) const {
    return reinterpret_cast<ObjectSlot*>(bytes() + kObjectsOffset)[id % kMaxObjects];
  }

 private:
  Mapping mapping_;
};

// Memory that others may write to at the same time.
void fill(const Room& room) {
  for (uint64_t at = 0; at < room.size_bytes; at++)
    __atomic_store_n(room.bytes + at, static_cast<unsigned char>(at), __ATOMIC_RELAXED);
}

uint64_t sumOf(const View& view) {
  uint64_t sum = 0;
  for (uint64_t at = 0; at < view.size_bytes; at++)
    sum += __atomic_load_n(view.bytes + at, __ATOMIC_RELAXED);
  return sum;
}

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

}  // namespace

TEST(StoreHostile, NeverGivesTheIdOfAnObjectThatIsStillFilled) {
  auto store = makeStore(mappingEach());
  const Room first = store->create({8192, "", kTimeoutUs, false});
  OpenTable(*store).slot(first.id).state.store(0);
  EXPECT_EQ(codeOf([&] { store->create({8192, "", kTimeoutUs, false}); }), ErrorCode::ERR_CORRUPT);
  fill(first);  // its mapping is still there
}

TEST(StoreHostile, NeverTakesASlotBeyondThoseUsedThatIsNotFree) {
  auto store = makeStore();
  const Room room = store->create({1, "", kTimeoutUs, false});
  OpenTable(*store).slot(room.id + 1).state.store(packState(7, ObjectState::kSealed));
  EXPECT_EQ(codeOf([&] { store->create({1, "", kTimeoutUs, false}); }), ErrorCode::ERR_CORRUPT);
}

TEST(StoreHostile, SeesThatTheFileEndsBeforeTheSlotsThatAreCounted) {
  auto store = makeStore();
  for (size_t i = 0; i < kPageBytes / sizeof(ObjectSlot); i++)
    store->create({1, "", kTimeoutUs, false});
  store->stats();  // from now on these slots are known to have memory
  OpenTable(*store).header().objects_used.store(64);
  ASSERT_EQ(ftruncate(store->segment().fd(), static_cast<off_t>(kObjectsOffset + kPageBytes)), 0);
  EXPECT_EQ(codeOf([&] { store->list(); }), ErrorCode::ERR_CORRUPT);
}

TEST(StoreHostile, IsNotOpenedWhereItsTableHasAHole) {
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
uint64_t meddleBeforeEachLook(Store& store, const OpenTable& table, size_t offset, uint64_t value) {
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

TEST(StoreHostile, EndsEachCallWhateverChangesBetweenTwoOfItsLooks) {
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
      const OpenTable table(*store);
      doEverything(*store);
      EXPECT_GT(meddleBeforeEachLook(*store, table, offset, value), uint64_t{100});
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

namespace {

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
