// SPDX-License-Identifier: MIT
#include "analysis/program_code.h"

#include <gtest/gtest.h>

namespace memdrift {

namespace {

Event nodeIn(uint32_t code, uint64_t place) {
  Event node;
  node.type = EventType::node;
  node.code = code;
  node.place = place;
  return node;
}

struct NamedCode {
  NamedCode() {
    code.add({1, CodeKind::bytecode, 1, "JS:~work /a.js:1:1"});
    code.add({2, CodeKind::bytecode, 2, "JS:~work /a.js:1:1"});
    code.add({3, CodeKind::bytecode, 2, "JS:~other /a.js:2:1"});
    code.add({UINT32_MAX, CodeKind::bytecode, 3, "JS:~other /a.js:2:1"});
  }
  Event joined(uint32_t number) const {
    Event node = nodeIn(number, 40);
    code.join(node);
    return node;
  }
  ProgramCode code;
};

TEST(ProgramCode, JoinsTheCopiesOfAFunctionInAllIsolates) {
  NamedCode of;
  of.code.joinPlaces(true);
  EXPECT_EQ(of.joined(2), nodeIn(1, 0));
  EXPECT_EQ(of.joined(3), nodeIn(3, 0));
  EXPECT_EQ(of.joined(UINT32_MAX), nodeIn(3, 0));
  EXPECT_EQ(of.joined(9), nodeIn(9, 40));  // has no name yet
}

TEST(ProgramCode, KeepsPlacesApartWhenLinesMayBeKnown) {
  const NamedCode of;
  EXPECT_EQ(of.joined(2), nodeIn(2, 40));
}

TEST(ProgramCode, NamesEachCopy) {
  const NamedCode of;
  for (const uint32_t number : {1U, 2U}) {
    const std::vector<StackFrame> frames = of.code.framesAt({40, number, 0});
    ASSERT_EQ(frames.size(), 1U);
    EXPECT_EQ(frames[0].function, "work");
  }
  EXPECT_EQ(of.code.framesAt({40, UINT32_MAX, 0})[0].function, "other");
  EXPECT_EQ(of.code.framesAt({40, 9, 0})[0].function, "");
}

}  // namespace

}  // namespace memdrift
