// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "capture/capture_reader.h"
#include "capture/event_decoder.h"
#include "capture/event_encoder.h"

namespace memdrift {

namespace {

// Records at random, as they go in and as they must come out.
class RandomRecords {
 public:
  explicit RandomRecords(uint8_t* at) : at_(at) {}

  void add() {
    Event event;
    event.node = anyNode();
    event.address = number();
    event.bytes = number();
    switch (random_() % 10) {
      case 0:
        addAlloc(event);
        break;
      case 1:
        addFree(event);
        break;
      case 2:
        addNode(event);
        break;
      case 3:
        event.type = EventType::map;
        event.protection = 3;
        event.flags = 0x22;
        event.is_file = random_() % 2 == 0;
        at_ = encode::map(state_, at_,
                          {event.node, event.address, event.bytes, 3, 0x22, event.is_file});
        break;
      case 4:
        event.type = EventType::protect;
        event.protection = 1;
        at_ = encode::protect(state_, at_, {event.node, event.address, event.bytes, 1});
        break;
      case 5:
        addRemap(event);
        break;
      case 6:
        event.node = 0;
        event.type = EventType::advise;
        event.advice = 4;
        at_ = encode::advise(state_, at_, {event.address, event.bytes, 4});
        break;
      case 7:
        event.node = 0;
        event.type = EventType::stack;
        event.maker_stream = static_cast<uint32_t>(random_());
        event.maker_node = static_cast<uint32_t>(random_());
        at_ = encode::stack(state_, at_,
                            {event.maker_stream, event.maker_node, event.address, event.bytes});
        break;
      case 8:
        event.node = 0;
        event.type = EventType::stack_end;
        at_ = encode::stackEnd(state_, at_, {event.address, event.bytes});
        break;
      default:
        event = {};
        event.type = EventType::epoch;
        at_ = encode::epoch(state_, at_, state_.epoch + random_() % 1000);
        break;
    }
    event.epoch = state_.epoch;
    event.stream = 3;
    expected.push_back(event);
  }
  const uint8_t* end() const { return at_; }

  std::vector<Event> expected;

 private:
  uint64_t number() { return random_() >> random_() % 64; }
  uint32_t anyNode() { return static_cast<uint32_t>(random_() % (nodes_ + 1)); }

  void addAlloc(Event& event) {
    event.type = EventType::alloc;
    event.hook = static_cast<HookId>(random_() % kHeapHookCount);
    event.weight = event.bytes;
    at_ = encode::alloc(state_, at_, {event.hook, event.node, event.address, event.bytes});
    recent_.push_back(event.address);
  }
  void addFree(Event& event) {
    event.node = 0;
    event.bytes = 0;
    event.type = EventType::free;
    event.hook = random_() % 4 ? HookId::k_free : HookId::k_realloc;
    if (!recent_.empty() && random_() % 2) event.address = recent_[random_() % recent_.size()];
    at_ = encode::free(state_, at_, {event.hook, event.address});
  }
  void addNode(Event& event) {
    event = {};
    event.type = EventType::node;
    event.parent = anyNode();
    event.code = random_() % 2 ? static_cast<uint32_t>(random_() % 5000 + 1) : 0;
    event.place = number();
    event.node = ++nodes_;
    at_ = encode::node(state_, at_, {event.parent, event.code, event.place});
  }
  void addRemap(Event& event) {
    event.type = EventType::remap;
    event.old_address = number();
    event.old_bytes = number();
    at_ = encode::remap(
        state_, at_, {event.node, event.old_address, event.old_bytes, event.address, event.bytes});
  }

  std::mt19937_64 random_{5};
  StreamState state_;
  uint8_t* at_;
  uint32_t nodes_ = 0;
  std::vector<uint64_t> recent_;
};

}  // namespace

TEST(EventCodec, GivesBackEveryRecord) {
  std::vector<uint8_t> bytes(1 << 22);
  RandomRecords records(bytes.data());
  for (int i = 0; i < 100'000; i++) records.add();
  ASSERT_LT(records.end(), bytes.data() + bytes.size());
  EventDecoder decoder(3);
  const uint8_t* from = bytes.data();
  for (const Event& event : records.expected) {
    Event decoded;
    ASSERT_EQ(decoder.next(from, records.end(), decoded), nullptr);
    ASSERT_EQ(decoded, event);
  }
  EXPECT_EQ(from, records.end());
}

// Blocks many at a time, everything else one by one, as the reader does.
class Batches {
 public:
  explicit Batches(const uint8_t* end) : end_(end) {}

  // The next event, or null: at the end, or where `problem` says what is wrong.
  const Event* next(const uint8_t*& at) {
    if (taken_ == count_ && at < end_) {
      taken_ = 0;
      count_ = decoder_.blocks(at, end_, blocks_);
      epoch_ = decoder_.epoch();
    }
    if (taken_ < count_) {
      event_ = eventOf({decoder_.stream(), epoch_, {}}, blocks_[taken_++]);
      return &event_;
    }
    if (at == end_) return nullptr;
    problem = decoder_.next(at, end_, event_);
    return problem ? nullptr : &event_;
  }

  const char* problem = nullptr;

 private:
  const uint8_t* end_;
  EventDecoder decoder_{3};
  BlockEvent blocks_[7];
  size_t count_ = 0;
  size_t taken_ = 0;
  uint64_t epoch_ = 0;
  Event event_;
};

TEST(EventCodec, GivesTheSameInBatchesAlsoWhereTheBytesAreCutOff) {
  std::vector<uint8_t> bytes(1 << 22);
  RandomRecords records(bytes.data());
  for (int i = 0; i < 20'000; i++) records.add();
  std::mt19937_64 random(1);
  for (int round = 0; round < 50; round++) {
    const size_t size = static_cast<size_t>(records.end() - bytes.data());
    const uint8_t* end = bytes.data() + (round == 0 ? size : random() % size);
    const uint8_t* from = bytes.data();
    const uint8_t* batch_from = from;
    EventDecoder decoder(3);
    Batches batches(end);
    const char* problem = nullptr;
    while (from < end && !problem) {
      Event event;
      problem = decoder.next(from, end, event);
      const Event* same = batches.next(batch_from);
      ASSERT_EQ(same == nullptr, problem != nullptr);
      if (same) {
        ASSERT_EQ(*same, event);
      }
    }
    EXPECT_STREQ(batches.problem, problem);
    EXPECT_EQ(batch_from, from);
  }
}

TEST(EventCodec, AWeightIsOfTheNextAllocationAlsoInBatches) {
  uint8_t bytes[256];
  StreamState state;
  uint8_t* end = encode::weight(state, bytes, 5000);
  end = encode::alloc(state, end, {HookId::k_malloc, 0, 0x1000, 10});
  end = encode::alloc(state, end, {HookId::k_malloc, 0, 0x2000, 20});
  const uint8_t* at = bytes;
  Batches batches(end);
  ASSERT_EQ(batches.next(at)->type, EventType::weight);
  EXPECT_EQ(batches.next(at)->weight, 5000U);
  EXPECT_EQ(batches.next(at)->weight, 20U);
}

}  // namespace memdrift
