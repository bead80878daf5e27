// SPDX-License-Identifier: MIT
#include "tracker/got_patch.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>
#include <map>
#include <thread>

namespace memdrift {

namespace {

std::atomic<int> g_calls{0};
void* (*g_real)(size_t) = nullptr;

void* countingValloc(size_t bytes) {
  g_calls++;
  return g_real(bytes);
}

// Every word of every object that could be changed, by address.
std::map<uintptr_t, uintptr_t> allWords() {
  std::map<uintptr_t, uintptr_t> words;
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& to = *static_cast<std::map<uintptr_t, uintptr_t>*>(data);
        const LoadedObject object(*info);
        for (const Relocations& table : {object.lazy, object.eager})
          for (size_t i = 0; i < table.count; i++) {
            const auto type = ELF64_R_TYPE(table.first[i].r_info);
            if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT && type != R_X86_64_64)
              continue;
            const uintptr_t at = object.base + table.first[i].r_offset;
            to[at] = *reinterpret_cast<uintptr_t*>(at);
          }
        return 0;
      },
      &words);
  return words;
}

void callValloc() {
  void* volatile block = valloc(100);
  free(block);
}

const std::vector<Interposed>& functions() {
  void* real = realFunction("valloc");
  g_real = reinterpret_cast<void* (*)(size_t)>(real);
  static const std::vector<Interposed> all = {
      {"valloc", reinterpret_cast<void*>(countingValloc), real}};
  return all;
}

}  // namespace

TEST(GotPatch, FindsTheFunctionsThatTheProgramCalls) {
  EXPECT_NE(realFunction("valloc"), nullptr);
  EXPECT_EQ(realFunction("memdrift_has_no_such_function"), nullptr);
}

// The hook and its caller are in one object here, which the patch leaves alone as its own.
TEST(GotPatch, LeavesItsOwnObject) {
  GotPatch patch(functions());
  patch.apply();
  const int before = g_calls;
  callValloc();
  EXPECT_EQ(g_calls, before);
  patch.restore();
}

TEST(GotPatch, PutsEveryWordBack) {
  void* real = realFunction("free");
  // In libc itself, which is not our own object.
  const std::vector<Interposed> both = {
      {"valloc", reinterpret_cast<void*>(countingValloc), realFunction("valloc")},
      {"free", real, real}};
  GotPatch patch(both);
  const auto cycle = [&] {
    patch.apply();
    patch.restore();
    return allWords();
  };
  // Words that are bound at their first use are then.
  callValloc();
  const auto before = cycle() == cycle() ? cycle() : cycle();
  for (int i = 0; i < 100; i++) cycle();
  EXPECT_EQ(patch.slotCount(), 0U);
  EXPECT_EQ(allWords(), before);
}

TEST(GotPatch, SeesThatObjectsCameOrWent) {
  GotPatch patch(functions());
  patch.apply();
  EXPECT_FALSE(patch.isStale());
  void* object = dlopen("libresolv.so.2", RTLD_NOW);
  ASSERT_NE(object, nullptr);
  EXPECT_TRUE(patch.isStale());
  patch.apply();
  EXPECT_FALSE(patch.isStale());
  dlclose(object);
  patch.restore();
}

}  // namespace memdrift
