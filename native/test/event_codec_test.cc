// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include <random>
#include <vector>

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

}  // namespace memdrift
