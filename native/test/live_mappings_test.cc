// SPDX-License-Identifier: MIT
#include "analysis/live_mappings.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <random>
#include <utility>
#include <vector>

namespace memdrift {

namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kBase = 0x100000;

Event rangeEvent(EventType type, uint64_t first, uint64_t count) {
  Event event;
  event.type = type;
  event.address = kBase + first * kPage;
  event.bytes = count * kPage;
  event.protection = PROT_READ | PROT_WRITE;
  event.flags = MAP_PRIVATE | MAP_ANONYMOUS;
  event.advice = MADV_DONTNEED;
  return event;
}

// Adds up what mappings count, with the highest sum since it was asked.
class Sum final : public MappingTotals {
 public:
  uint32_t siteOf(const Event&, AllocationKind) override { return 1; }
  void weigh(uint32_t, int64_t bytes, int64_t count) override {
    most_ = std::max(most_, bytes_);
    bytes_ += bytes;
    count_ += count;
    most_ever_ = std::max(most_ever_, bytes_);
  }
  void made(uint32_t, uint64_t bytes) override { made_ += bytes; }
  int64_t takeMost() { return std::max(std::exchange(most_, bytes_), bytes_); }

  int64_t bytes_ = 0;
  int64_t count_ = 0;
  int64_t most_ = 0;
  int64_t most_ever_ = 0;
  uint64_t made_ = 0;
};

// The process itself: what the kernel would say of its pages.
class Pages {
 public:
  static constexpr uint64_t kCount = 64;

  void touch(uint64_t first, uint64_t count) {
    for (uint64_t i = first; i < first + count; i++)
      if (pages_[i].is_usable) pages_[i].is_resident = true;
    note();
  }
  void apply(const Event& event) {
    const uint64_t first = (event.address - kBase) / kPage;
    const bool is_usable = event.protection != PROT_NONE;
    for (uint64_t i = first; i < first + event.bytes / kPage; i++) {
      Page& page = pages_[i];
      if (event.type == EventType::map) page = {true, is_usable, false};
      if (event.type == EventType::unmap) page = {};
      if (event.type == EventType::protect) page.is_usable = page.is_mapped && is_usable;
      if (event.type == EventType::advise) page.is_resident = false;
    }
    note();
  }
  int64_t resident(uint64_t first = 0, uint64_t count = kCount) const {
    int64_t bytes = 0;
    for (uint64_t i = first; i < first + count; i++) bytes += pages_[i].is_resident * kPage;
    return bytes;
  }
  int64_t most() const { return most_; }
  int64_t takeRecentMost() { return std::exchange(recent_most_, resident()); }

 private:
  struct Page {
    bool is_mapped = false;
    bool is_usable = false;
    bool is_resident = false;
  };
  void note() {
    most_ = std::max(most_, resident());
    recent_most_ = std::max(recent_most_, resident());
  }

  std::vector<Page> pages_ = std::vector<Page>(kCount);
  int64_t most_ = 0;
  int64_t recent_most_ = 0;
};

// A writer's look.
std::vector<MappingResidency> lookOf(const LiveMappings& writer, const Pages& pages) {
  std::vector<MappingResidency> look;
  writer.ranges().forEach([&](uint64_t begin, uint64_t end, const RangeState& state) {
    const auto found =
        static_cast<uint64_t>(pages.resident((begin - kBase) / kPage, (end - begin) / kPage));
    if (found != state.resident_bytes || state.looks < kEnoughLooks)
      look.push_back({begin, end - begin, found});
  });
  return look;
}

class History {
 public:
  explicit History(uint64_t seed) : random_(seed) {}

  void step() {
    const uint64_t first = random_() % (Pages::kCount - 4);
    const uint64_t count = random_() % (Pages::kCount - first) + 1;
    const uint64_t choice = random_() % 10;
    if (choice < 4) return pages_.touch(first, std::min<uint64_t>(count, 8));
    constexpr EventType kTypes[] = {EventType::map,   EventType::map,     EventType::map,
                                    EventType::unmap, EventType::protect, EventType::advise};
    Event event = rangeEvent(kTypes[choice - 4], first, count);
    if (random_() % 3 == 0) event.protection = PROT_NONE;
    pages_.apply(event);
    writer_.onEvent(event);
    reader_.onEvent(event);
  }
  void look() {
    const auto found = lookOf(writer_, pages_);
    writer_.onLook(found, 0);
    reader_.onLook(found, sum_.takeMost());
    pages_.takeRecentMost();
  }
  void finish() { reader_.finish(sum_.takeMost(), static_cast<uint64_t>(pages_.takeRecentMost())); }

  const Pages& pages() const { return pages_; }
  const Sum& sum() const { return sum_; }
  const LiveMappings& reader() const { return reader_; }

 private:
  std::mt19937_64 random_;
  Pages pages_;
  Sum nothing_;
  LiveMappings writer_{nothing_, MappingWeight::resident};
  Sum sum_;
  LiveMappings reader_{sum_, MappingWeight::resident};
};

}  // namespace

TEST(LiveMappings, HasTheKernelsResidentBytesAtEachLook) {
  for (uint64_t seed = 0; seed < 300; seed++) {
    History history(seed);
    history.look();
    for (int i = 0; i < 200; i++) {
      history.step();
      if (i % 7 != 0) continue;
      history.look();
      ASSERT_EQ(history.sum().bytes_, history.pages().resident()) << seed << " " << i;
    }
  }
}

TEST(LiveMappings, BoundsThePeakBetweenLooks) {
  double widths = 0;
  constexpr int kSeeds = 2000;
  for (uint64_t seed = 0; seed < kSeeds; seed++) {
    History history(seed);
    history.look();
    const uint64_t steps = 1 + seed % 60;
    for (uint64_t i = 0; i < steps; i++) {
      history.step();
      if (i % (1 + seed % 5) == 0) history.look();
    }
    history.finish();
    const ResidencyBounds& bounds = history.reader().bounds();
    ASSERT_LE(bounds.lowBytes(), history.pages().most()) << seed;
    ASSERT_GE(bounds.highBytes(), history.pages().most()) << seed;
    ASSERT_LE(bounds.lowBytes(), history.sum().most_ever_) << seed;
    ASSERT_GE(bounds.highBytes(), history.sum().most_ever_) << seed;
    widths += static_cast<double>(bounds.highBytes() - bounds.lowBytes()) /
              static_cast<double>(Pages::kCount * kPage);
  }
  EXPECT_LT(widths / kSeeds, 0.4);
}

TEST(LiveMappings, CountsAReservationByItsTouchedPages) {
  Sum sum;
  LiveMappings mappings(sum, MappingWeight::resident);
  mappings.onLook({}, 0);
  Event event = rangeEvent(EventType::map, 0, 1 << 18);
  mappings.onEvent(event);
  EXPECT_EQ(sum.bytes_, 0);
  EXPECT_EQ(sum.made_, 1U << 30);
  const MappingResidency found = {event.address, event.bytes, 3 * kPage};
  mappings.onLook({&found, 1}, sum.takeMost());
  EXPECT_EQ(sum.bytes_, static_cast<int64_t>(3 * kPage));
  EXPECT_EQ(sum.count_, 1);
}

TEST(LiveMappings, CountsCommittedBytesOnRequest) {
  Sum sum;
  LiveMappings mappings(sum, MappingWeight::committed);
  const Event event = rangeEvent(EventType::map, 0, 16);
  mappings.onEvent(event);
  const MappingResidency found = {event.address, event.bytes, kPage};
  mappings.onLook({&found, 1}, sum.takeMost());
  EXPECT_EQ(sum.bytes_, static_cast<int64_t>(16 * kPage));
}

TEST(LiveMappings, CountsCommittedBytesWhereNoLookCanBeTaken) {
  Sum sum;
  LiveMappings mappings(sum, MappingWeight::resident);
  mappings.onLook({}, 0);
  const Event event = rangeEvent(EventType::map, 0, 16);
  mappings.onEvent(event);
  mappings.onLook({&kNoMoreLooks, 1}, sum.takeMost());
  EXPECT_EQ(sum.bytes_, static_cast<int64_t>(16 * kPage));
  mappings.finish(sum.takeMost(), UINT64_MAX);
  EXPECT_EQ(mappings.bounds().lowBytes(), 0);
  EXPECT_EQ(mappings.bounds().highBytes(), static_cast<int64_t>(16 * kPage));
}

TEST(LiveMappings, KeepsPagesThatMoveWithTheirMapping) {
  Sum sum;
  LiveMappings mappings(sum, MappingWeight::resident);
  mappings.onLook({}, 0);
  mappings.onEvent(rangeEvent(EventType::map, 0, 4));
  const MappingResidency found = {kBase, 4 * kPage, 2 * kPage};
  mappings.onLook({&found, 1}, sum.takeMost());
  Event event = rangeEvent(EventType::remap, 32, 8);
  event.old_address = kBase;
  event.old_bytes = 4 * kPage;
  mappings.onEvent(event);
  EXPECT_EQ(sum.bytes_, static_cast<int64_t>(2 * kPage));
  EXPECT_EQ(sum.count_, 1);
}

TEST(LiveMappings, KeepsAMappingThatIsRemappedWithoutOldBytes) {
  Sum sum;
  LiveMappings mappings(sum, MappingWeight::resident);
  mappings.onLook({}, 0);
  Event shared = rangeEvent(EventType::map, 0, 4);
  shared.flags = MAP_SHARED;
  mappings.onEvent(shared);
  Event copy = rangeEvent(EventType::remap, 32, 4);
  copy.old_address = kBase;
  mappings.onEvent(copy);
  size_t ranges = 0;
  mappings.ranges().forEach([&](uint64_t, uint64_t, const RangeState& state) {
    EXPECT_EQ(state.kind, static_cast<uint32_t>(AllocationKind::shared));
    ranges++;
  });
  EXPECT_EQ(ranges, 2U);
}

TEST(LiveMappings, KeepsAReservationUnusableWhenItMoves) {
  Sum sum;
  LiveMappings mappings(sum, MappingWeight::committed);
  Event reserved = rangeEvent(EventType::map, 0, 4);
  reserved.protection = PROT_NONE;
  mappings.onEvent(reserved);
  Event event = rangeEvent(EventType::remap, 32, 8);
  event.old_address = kBase;
  event.old_bytes = 4 * kPage;
  mappings.onEvent(event);
  EXPECT_EQ(sum.bytes_, 0);
}

}  // namespace memdrift
