// SPDX-License-Identifier: MIT
// A store survives the death of a process before each of its changes: for every operation, one
// process after another dies one step later than the one before, until one comes to the end.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ostream>
#include <stdexcept>
#include <string>
#include <vector>

#include "test/crash_child.h"
#include "test/crash_scene.h"

namespace memdrift {

namespace {

// The process that dies, in its own memory.
struct Actor {
  const Scene& scene;
  std::shared_ptr<Store> store;
  Room made;
};

constexpr uint64_t kMadeBytes = 30'000;

// What a process does until it dies. `at` is what it dies in; `before` gets it there.
struct Operation {
  const char* name;
  void (*before)(Actor&);
  void (*at)(Actor&);
  bool removes_victim = false;
};

void PrintTo(const Operation& operation, std::ostream* out) { *out << operation.name; }

void attach(Actor& actor) { actor.store = Store::open(actor.scene.name, {}); }

void attachAndMake(Actor& actor) {
  attach(actor);
  actor.made = actor.store->create({kMadeBytes, "here", kTimeoutUs, false});
}

void attachAndFill(Actor& actor) {
  attachAndMake(actor);
  fill(actor.made);
}

void getVictim(Actor& actor) {
  const View view = actor.store->get(actor.scene.victim);
  if (view.size_bytes != kVictimBytes || !isWhole(view)) throw std::runtime_error("wrong bytes");
}

void attachAndGet(Actor& actor) {
  attach(actor);
  getVictim(actor);
}

void attachAndDoAll(Actor& actor) {
  attachAndMake(actor);
  getVictim(actor);
}

// Until the next slot is the first of a page.
void attachAndTakeSlots(Actor& actor) {
  attach(actor);
  uint64_t slot = 0;
  while ((slot + 1) % (kPageBytes / sizeof(ObjectSlot)) != 0)
    slot = actor.store->create({100, "", kTimeoutUs, false}).id % kMaxObjects;
}

// Leaves a client number with a reference and an unsealed object to whoever attaches next.
void leaveRemains(Actor& actor) {
  runUntilPoint(1, {[&] { attachAndDoAll(actor); }, crashPoint});
}

void fillInSteps(Actor& actor) {
  crashPoint();
  fillHalf(actor.made, 0);
  crashPoint();
  fillHalf(actor.made, 1);
  crashPoint();
}

void put(Actor& actor) {
  actor.made = actor.store->create({kMadeBytes, "here", kTimeoutUs, true});
  fillInSteps(actor);
  actor.store->seal(actor.made.id).giveUp();
}

void doAll(Actor& actor) {
  attach(actor);
  put(actor);
  actor.store->get(actor.made.id);
  actor.store->remove(actor.made.id);
  actor.store->giveBack(0, kTimeoutUs);
  actor.store->release(actor.made.id);
  actor.store->abort(actor.store->create({kMadeBytes, "", kTimeoutUs, false}).id);
  getVictim(actor);
  actor.store.reset();
}

const Operation kOperations[] = {
    {"create", attach,
     [](Actor& actor) {
       actor.made = actor.store->create({kMadeBytes, "here", kTimeoutUs, false});
     }},
    {"fill", attachAndMake, fillInSteps},
    {"seal", attachAndFill, [](Actor& actor) { actor.store->seal(actor.made.id); }},
    {"seal as a message", attachAndFill,
     [](Actor& actor) { actor.store->sealHeld(actor.made.id); }},
    {"take", attach, [](Actor& actor) { actor.store->take(actor.scene.victim, kTimeoutUs); }},
    {"put", attach, put},
    {"abort", attachAndMake, [](Actor& actor) { actor.store->abort(actor.made.id); }},
    {"get", attach, getVictim},
    {"release", attachAndGet, [](Actor& actor) { actor.store->release(actor.scene.victim); }},
    {"remove", attach, [](Actor& actor) { actor.store->remove(actor.scene.victim); }, true},
    {"remove what it holds", attachAndGet,
     [](Actor& actor) {
       actor.store->remove(actor.scene.victim);
       actor.store->release(actor.scene.victim);
     },
     true},
    {"giveBack", attach, [](Actor& actor) { actor.store->giveBack(0, kTimeoutUs); }},
    {"grow the table", attachAndTakeSlots,
     [](Actor& actor) {
       for (int i = 0; i < 2; i++) actor.store->create({100, "", kTimeoutUs, false});
     }},
    {"attach", [](Actor&) {}, attach},
    {"attach after a dead one", leaveRemains, attach},
    {"close", attachAndDoAll, [](Actor& actor) { actor.store.reset(); }},
    {"unlink", attach, [](Actor& actor) { Segment::unlink(actor.scene.name); }},
    {"sweep", attach, [](Actor&) { Segment::sweep(); }},
    {"all", [](Actor&) {}, doAll},
};

CrashChild actUntil(uint64_t point, const Operation& operation, const Scene& scene) {
  Actor actor{scene, nullptr, {}};
  return runUntilPoint(point, {[&] { operation.before(actor); }, [&] { operation.at(actor); }});
}

// What others do while a process is stopped in the middle of something. If it has the lock they may
// not, and if it gives room back, that is not there.
void workMeanwhile(Scene& scene) {
  constexpr uint64_t kShortUs = 2'000;
  Store& store = *scene.store;
  // Objects in the victim's slot and in its place, and one in what is free above.
  if (!isGone(store, scene.victim)) store.remove(scene.victim);
  for (const uint64_t size_bytes : {uint64_t{700}, uint64_t{8'191}, kSceneBytes / 2}) {
    try {
      const Room room = store.create({size_bytes, "", kShortUs, false});
      fill(room);
      store.seal(room.id);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::ERR_BUSY);
      return;
    }
  }
}

// Others may have removed what it wanted, and taken its room.
void actBesideOthers(const Operation& operation, Actor& actor) {
  try {
    operation.at(actor);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::ERR_GONE && error.code() != ErrorCode::ERR_FULL) throw;
  }
}

void report(const char* what, uint64_t points) {
  testing::Test::RecordProperty("crash_points", std::to_string(points));
  printf("%s: survived %lu points of death\n", what, static_cast<unsigned long>(points));
}

// Each of the first points, where most operations end, and then other ones from run to run.
uint64_t stride(uint64_t point) { return point < 20 ? 1 : 3 + static_cast<uint64_t>(getpid()) % 5; }

class StoreCrash : public testing::TestWithParam<Operation> {};

// A create of the same name after a death at any point of `body`, which is told the name.
uint64_t deathsBeforeANewOne(const std::function<void(const std::string&)>& body) {
  for (uint64_t point = 1;; point++) {
    const std::string name = freshStoreName();
    const CrashChild child = runUntilPoint(point, {nullptr, [&] { body(name); }});
    if (child.ending == Ending::kFailed) ADD_FAILURE() << "failed before point " << point;
    auto store = Store::create({name, kSceneBytes}, {});
    const Room room = store->create({kSceneBytes, "", kTimeoutUs, false});
    fill(room);
    store->seal(room.id);
    EXPECT_EQ(store->stats().objects, uint32_t{1});
    EXPECT_EQ(store->stats().clients, uint32_t{1});
    store.reset();
    EXPECT_FALSE(fileExists(name)) << "after point " << point;
    if (child.ending != Ending::kKilled || testing::Test::HasFailure()) return point - 1;
  }
}

}  // namespace

TEST_P(StoreCrash, IsSurvivedAtEveryStep) {
  const Operation& operation = GetParam();
  uint64_t point = 1;
  for (;; point++) {
    auto scene = makeScene();
    const CrashChild child = actUntil(point, operation, *scene);
    EXPECT_NE(child.ending, Ending::kFailed);
    expectWhole(*scene, operation.removes_victim);
    expectAllRoomUsable(*scene);
    endScene(std::move(scene));
    if (child.ending != Ending::kKilled) break;
    if (HasFailure()) FAIL() << operation.name << " died at point " << point;
  }
  EXPECT_GT(point, uint64_t{1}) << "there is no point in " << operation.name;
  report(operation.name, point - 1);
}

// Not a death, but what a death cannot show: that it goes on with what it believed before.
TEST_P(StoreCrash, IsAsGoodAsAPauseAtEveryStep) {
  const Operation& operation = GetParam();
  for (uint64_t point = 1;; point++) {
    auto scene = makeScene();
    Actor actor{*scene, nullptr, {}};
    const pid_t pid = startUntilPoint(point, {[&] { operation.before(actor); },
                                              [&] { actBesideOthers(operation, actor); }, SIGSTOP});
    const bool stopped = isStopped(pid);
    if (stopped) {
      workMeanwhile(*scene);
      kill(pid, SIGCONT);
    }
    EXPECT_EQ(endOf(pid).ending, Ending::kFinished);
    expectWhole(*scene, true);
    expectAllRoomUsable(*scene);
    endScene(std::move(scene));
    if (!stopped) break;
    if (HasFailure()) FAIL() << operation.name << " was stopped at point " << point;
  }
}

// What goes is whole or gone; what is held stays; and there is room for as much again.
TEST(StoreCrashOfEviction, IsSurvivedAtEveryStep) {
  // More than what is free above the victim, so that all that nobody holds must go.
  constexpr uint64_t kLargeBytes = 960'000;
  uint64_t point = 1;
  for (;; point++) {
    auto scene = makeScene(kSceneBytes, WhenFull::kEvict);
    Store& store = *scene->store;
    std::shared_ptr<Store> other;
    const CrashChild child = runUntilPoint(point, {[&] { other = Store::open(scene->name, {}); },
                                                   [&] { makeSealed(*other, kLargeBytes); }});
    EXPECT_NE(child.ending, Ending::kFailed);
    for (const ObjectInfo& info : store.list()) expectWholeObject(*scene, info);
    EXPECT_EQ(expectSoundTable(*scene), store.stats().arena_bytes);
    const uint64_t id = makeSealed(store, kLargeBytes);
    EXPECT_TRUE(isWhole(store.get(id)));
    EXPECT_TRUE(isWhole(scene->held_view));
    EXPECT_TRUE(isWhole(scene->deleted_view));
    EXPECT_TRUE(isGone(store, scene->kept));
    EXPECT_TRUE(isGone(store, scene->victim));
    store.release(id);
    endScene(std::move(scene));
    if (child.ending != Ending::kKilled) break;
    if (HasFailure()) FAIL() << "died at point " << point;
  }
  report("evict", point - 1);
}

TEST_P(StoreCrash, IsSurvivedBesideABusyProcess) {
  const Operation& operation = GetParam();
  auto scene = makeScene(16 * kSceneBytes);
  BusyProcess busy(*scene);
  // What waits for the lock passes points as long as it waits: there may be no last one.
  constexpr uint64_t kMost = 600;
  uint64_t deaths = 0;
  for (uint64_t point = 1; point < kMost; point += stride(point)) {
    const CrashChild child = actUntil(point, operation, *scene);
    EXPECT_NE(child.ending, Ending::kFailed);
    expectWhole(*scene, operation.removes_victim);
    EXPECT_TRUE(busy.isWell());
    if (HasFailure()) FAIL() << operation.name << " died at point " << point;
    if (child.ending != Ending::kKilled) break;
    deaths++;
    renewVictim(*scene);
  }
  EXPECT_TRUE(busy.end());
  scene->living = {getpid()};
  expectAllRoomUsable(*scene);
  endScene(std::move(scene));
  report(operation.name, deaths);
}

INSTANTIATE_TEST_SUITE_P(Operations, StoreCrash, testing::ValuesIn(kOperations),
                         [](const testing::TestParamInfo<Operation>& info) {
                           std::string name = info.param.name;
                           std::replace(name.begin(), name.end(), ' ', '_');
                           return name;
                         });

TEST(StoreCrashOfItsMaker, LeavesTheNameFree) {
  report("create a store", deathsBeforeANewOne([](const std::string& name) {
           Store::create({name, kSceneBytes}, {}).reset();
         }));
}

TEST(StoreCrashOfItsMaker, LeavesTheNameFreeForWhoMadeItAgain) {
  report("create a store in place of a dead one", deathsBeforeANewOne([](const std::string& name) {
           runUntilPoint(1, {[&] { Store::create({name, kSceneBytes}, {}).reset(); }, crashPoint});
           Store::create({name, kSceneBytes}, {}).reset();
         }));
}

TEST(StoreCrashOfAProducer, LeavesAnIdThatIsGoneHoweverOftenItsSlotIsUsed) {
  auto store = Store::create({freshStoreName(), kSceneBytes}, {});
  InAllProcesses<std::atomic<uint64_t>> made;
  const CrashChild child = runUntilPoint(1, {[&] {
                                               auto dying =
                                                   Store::open(store->segment().name(), {});
                                               *made = dying->create({1, "", kTimeoutUs, false}).id;
                                               crashPoint();
                                             },
                                             crashPoint});
  ASSERT_EQ(child.ending, Ending::kKilled);
  const uint64_t dead = *made;
  for (uint32_t i = 0; i < 1 << 16; i++) {
    const Room room = store->create({1, "", kTimeoutUs, false});
    ASSERT_EQ(room.id % kMaxObjects, dead % kMaxObjects);
    ASSERT_TRUE(isGone(*store, dead)) << "after " << i << " uses of its slot";
    store->abort(room.id);
  }
}

}  // namespace memdrift
