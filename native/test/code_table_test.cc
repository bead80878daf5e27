// SPDX-License-Identifier: MIT
#include "tracker/code_table.h"

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <set>
#include <thread>

namespace memdrift {

TEST(CodeTable, NamesCodeWhereverItMoves) {
  CodeTable table;
  EXPECT_FALSE(table.add({1, 0x1000, 0x100}, CodeKind::bytecode, "JS:~f"));
  CodePlace place;
  ASSERT_TRUE(table.find(0x1010, place));
  EXPECT_EQ(place.code, 1U);
  EXPECT_EQ(place.offset, 0x10U);
  EXPECT_TRUE(table.move(0x1000, 0x5000));
  EXPECT_FALSE(table.find(0x1010, place));
  ASSERT_TRUE(table.find(0x5010, place));
  EXPECT_EQ(place.code, 1U);
  // A call at its very end returns behind it.
  EXPECT_TRUE(table.find(0x5100, place));
  EXPECT_FALSE(table.find(0x5101, place));
  EXPECT_FALSE(table.find(0x5000, place));
}

TEST(CodeTable, SaysThatAnAddressIsReused) {
  CodeTable table;
  EXPECT_FALSE(table.add({1, 0x1000, 0x100}, CodeKind::compiled, "a"));
  EXPECT_FALSE(table.add({2, 0x1000, 0x100}, CodeKind::compiled, "a")) << "the same, told twice";
  EXPECT_TRUE(table.add({1, 0x10f0, 0x20}, CodeKind::compiled, "b"));
  EXPECT_FALSE(table.add({1, 0x1000, 0x80}, CodeKind::compiled, "c")) << "a is gone";
}

TEST(CodeTable, TellsNamesOnceAndOnlyThoseInUse) {
  CodeTable table;
  table.add({1, 0x1000, 0x100}, CodeKind::compiled, "a");
  table.add({1, 0x2000, 0x100}, CodeKind::compiled, "b");
  CodePlace place;
  ASSERT_TRUE(table.find(0x2001, place));
  ASSERT_TRUE(table.find(0x2002, place));
  std::string told;
  const auto tell = [&](const CodeEvent& event) { told += event.name; };
  table.takeUsed(tell);
  table.takeUsed(tell);
  EXPECT_EQ(told, "b");
}

// Against a list that is searched from the latest to the first.
TEST(CodeTable, AgreesWithAList) {
  struct Piece {
    uintptr_t begin;
    size_t bytes;
    uint32_t code;
  };
  std::mt19937 random(4);
  CodeTable table;
  std::vector<Piece> pieces;
  uint32_t next_code = 0;
  const auto dropOverlaps = [&](uintptr_t begin, size_t bytes) {
    std::erase_if(pieces, [&](const Piece& one) {
      return one.begin < begin + bytes && begin < one.begin + one.bytes;
    });
  };
  for (int i = 0; i < 20'000; i++) {
    const uintptr_t begin = 0x1000 + random() % 500 * 16;
    const size_t bytes = 16 + random() % 6 * 16;
    if (random() % 4 != 0 || pieces.empty()) {
      dropOverlaps(begin, bytes);
      table.add({1, begin, bytes}, CodeKind::compiled, std::to_string(i));
      pieces.push_back({begin, bytes, ++next_code});
    } else {
      Piece moved = pieces[random() % pieces.size()];
      std::erase_if(pieces, [&](const Piece& one) { return one.begin == moved.begin; });
      table.move(moved.begin, begin);
      dropOverlaps(begin, moved.bytes);
      moved.begin = begin;
      pieces.push_back(moved);
    }
    const uintptr_t pc = 0x1000 + random() % 8400;
    CodePlace place = {0, 0};
    table.find(pc, place);
    uint32_t expected = 0;
    for (const Piece& one : pieces)
      if (pc - 1 - one.begin < one.bytes && pc != one.begin) expected = one.code;
    ASSERT_EQ(place.code, expected) << i;
  }
}

TEST(CodeTable, IsLookedUpWhileItChanges) {
  CodeTable table;
  std::atomic<bool> is_done{false};
  std::thread looker([&] {
    CodePlace place;
    while (!is_done)
      for (uintptr_t pc = 0x1001; pc < 0x2000; pc += 64) table.find(pc, place);
  });
  for (int i = 0; i < 20'000; i++) {
    table.add({1, 0x1000U + static_cast<uintptr_t>(i % 64) * 64, 64}, CodeKind::compiled,
              std::to_string(i));
    if (i % 100 == 0) table.takeUsed([](const CodeEvent&) {});
  }
  is_done = true;
  looker.join();
}

}  // namespace memdrift
