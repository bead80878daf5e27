// SPDX-License-Identifier: MIT
#include "tracker/stack_walk.h"

#include <execinfo.h>
#include <gtest/gtest.h>
#include <pthread.h>

#include <memory>
#include <vector>

#include "tracker/got_patch.h"
#include "tracker/module_table.h"

namespace memdrift {

namespace {

StackBounds ownBounds() {
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  void* low;
  size_t bytes;
  pthread_attr_getstack(&attributes, &low, &bytes);
  pthread_attr_destroy(&attributes);
  const auto begin = reinterpret_cast<uintptr_t>(low);
  return {begin, begin + bytes};
}

struct Walks {
  Walks() {
    modules.update([](const Module&) {});
    rules = std::make_unique<RuleCache>();
    walker = std::make_unique<StackWalker>();
    fresh = std::make_unique<StackWalker>();
    rules->clear();
    walker->forget();
    fresh->forget();
  }
  // This test's own code may have no frame pointers: nothing is taken for granted but the tables.
  WalkContext context() { return {*rules, modules, Range{}, v8}; }

  ModuleTable modules;
  V8Code v8;
  std::unique_ptr<RuleCache> rules;
  std::unique_ptr<StackWalker> walker;
  std::unique_ptr<StackWalker> fresh;
  StackBounds bounds = ownBounds();
};

struct Answer {
  uint64_t key;
  uint64_t key_of_note;
  std::vector<uintptr_t> walked;
  std::vector<uintptr_t> expected;  // glibc's own unwinder
};

[[gnu::noinline]] Answer look(Walks& walks) {
  Answer answer;
  const void* frame = __builtin_frame_address(0);
  answer.key = walks.walker->walk(frame, walks.bounds, walks.context());
  walks.fresh->note(frame, walks.bounds, walks.context());
  answer.key_of_note = walks.fresh->walk(frame, walks.bounds, walks.context());
  for (unsigned i = 0; i < walks.fresh->count(); i++)
    answer.walked.push_back(walks.fresh->frame(i).pc);
  void* pcs[kMaxFrames];
  const int count = backtrace(pcs, kMaxFrames);
  // Its first are in this function, and in a sanitizer's between.
  int first = 0;
  while (first < count && reinterpret_cast<uintptr_t>(pcs[first]) != answer.walked.at(0)) first++;
  for (int i = first; i < count; i++)
    answer.expected.push_back(reinterpret_cast<uintptr_t>(pcs[i]));
  return answer;
}

[[gnu::noinline]] Answer recurse(Walks& walks, int depth) {
  if (depth == 0) return look(walks);
  Answer answer = recurse(walks, depth - 1);
  asm volatile("");  // not a jump
  return answer;
}

// Without a frame pointer, as most libraries are compiled.
[[gnu::noinline, gnu::optimize("omit-frame-pointer")]] Answer bare(Walks& walks, int depth) {
  volatile char room[200];
  room[0] = static_cast<char>(depth);
  Answer answer = recurse(walks, depth + room[0] - depth);
  asm volatile("");
  return answer;
}

}  // namespace

TEST(StackWalk, FindsWhatTheUnwinderFinds) {
  Walks walks;
  for (int depth : {0, 1, 5, 30}) {
    const Answer answer = recurse(walks, depth);
    EXPECT_EQ(answer.walked, answer.expected) << depth;
    EXPECT_EQ(answer.key, answer.key_of_note);
  }
}

TEST(StackWalk, FindsWhatTheUnwinderFindsWithoutFramePointers) {
  Walks walks;
  for (int depth : {0, 3}) {
    const Answer answer = bare(walks, depth);
    EXPECT_EQ(answer.walked, answer.expected) << depth;
  }
}

// Whatever was noted before, the key is that of a walk that knows nothing.
TEST(StackWalk, HasTheSameKeyWhicheverWayItWasFound) {
  Walks walks;
  std::vector<uint64_t> keys;
  for (int round = 0; round < 50; round++)
    for (int depth : {3, 20, 1, 20, 20, 7, 0, 40}) {
      const Answer answer = round % 2 ? bare(walks, depth) : recurse(walks, depth);
      ASSERT_EQ(answer.key, answer.key_of_note);
      keys.push_back(answer.key);
    }
  EXPECT_EQ(keys[0], keys[16]);
  EXPECT_EQ(keys[1], keys[3]);
  EXPECT_NE(keys[0], keys[1]);
  EXPECT_NE(keys[0], keys[8]);
}

TEST(StackWalk, KeepsTheInnermostFramesOfADeepRecursion) {
  Walks walks;
  const Answer answer = recurse(walks, 1000);
  EXPECT_EQ(answer.walked.size(), kMaxFrames);
  EXPECT_FALSE(walks.fresh->isWhole());
  EXPECT_EQ(answer.walked[3], answer.walked[200]);
  EXPECT_TRUE(recurse(walks, 2).walked.size() < kMaxFrames);
  EXPECT_TRUE(walks.fresh->isWhole());
}

TEST(StackWalk, LeavesAStackThatItDoesNotKnow) {
  Walks walks;
  walks.bounds = {walks.bounds.end, walks.bounds.end + 4096};
  walks.fresh->note(__builtin_frame_address(0), walks.bounds, walks.context());
  EXPECT_EQ(walks.fresh->count(), 0U);
  EXPECT_EQ(walks.walker->walk(__builtin_frame_address(0), walks.bounds, walks.context()), 0U);
}

}  // namespace memdrift
