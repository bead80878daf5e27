// SPDX-License-Identifier: MIT
#include "tracker/got_patch.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <atomic>
#include <cerrno>
#include <map>
#include <thread>
#include <utility>

#include "tracker/module_table.h"
#include "tracker/object_words.h"

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

void* g_real_free = nullptr;

void countingFree(void* block) {
  g_calls++;
  reinterpret_cast<void (*)(void*)>(g_real_free)(block);
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

namespace {

// In libc itself, which is not our own object.
std::vector<Interposed> freeAndValloc() {
  void* hook = reinterpret_cast<void*>(countingValloc);
  g_real = reinterpret_cast<void* (*)(size_t)>(realFunction("valloc"));
  g_real_free = realFunction("free");
  return {{"valloc", hook, realFunction("valloc")},
          {"free", reinterpret_cast<void*>(countingFree), realFunction("free")}};
}

// The word of another object that is bound to `value`; 0: none.
uintptr_t wordOf(void* value) {
  for (const auto& [at, word] : allWords())
    if (word == reinterpret_cast<uintptr_t>(value)) return at;
  return 0;
}

}  // namespace

TEST(GotPatch, PutsEveryWordBack) {
  const std::vector<Interposed> both = freeAndValloc();
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

TEST(GotPatch, BindsObjectsThatAreLoadedLater) {
  const std::vector<Interposed> both = freeAndValloc();
  GotPatch patch(both);
  patch.apply();
  EXPECT_TRUE(patch.bindsNewObjects());
  void* object = dlopen("libresolv.so.2", RTLD_NOW);
  ASSERT_NE(object, nullptr);
  // No pass has run since: the dynamic linker bound it.
  const size_t with = patch.slotCount();
  dlclose(object);
  EXPECT_LT(patch.slotCount(), with);
  patch.restore();
  EXPECT_EQ(dlsym(RTLD_DEFAULT, "valloc"), both[0].real);
}

// As when _dl_fixup looks the function up before the patch and stores it after.
TEST(GotPatch, FindsAWordThatWasBoundMeanwhile) {
  const std::vector<Interposed> both = freeAndValloc();
  GotPatch patch(both);
  patch.apply();
  const uintptr_t at = wordOf(both[1].hook);
  ASSERT_NE(at, 0U);
  std::pair stored(at, both[1].realAddress());
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        const auto& [word, value] = *static_cast<std::pair<uintptr_t, uintptr_t>*>(data);
        const LoadedObject object(*info);
        if (object.image.contains(word)) ObjectWords(object).storeRelocated(word, value);
        return 0;
      },
      &stored);
  EXPECT_EQ(*reinterpret_cast<uintptr_t*>(at), both[1].realAddress());
  patch.apply();
  EXPECT_EQ(*reinterpret_cast<uintptr_t*>(at), both[1].hookAddress());
  patch.restore();
  EXPECT_EQ(*reinterpret_cast<uintptr_t*>(at), both[1].realAddress());
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

namespace {

struct Moments {
  int unready = 0;
  int ready_by_index = 0;
  int ready_by_protection = 0;
};

int lookAt(dl_phdr_info* info, size_t, void* data) {
  auto& moments = *static_cast<Moments*>(data);
  if (!strstr(info->dlpi_name, "libstdc++") && !strstr(info->dlpi_name, "libresolv")) return 0;
  const bool by_protection = RelocationState(false).isRelocated(*info);
  const bool by_index = RelocationState(true).isRelocated(*info);
  moments.unready += !by_index;
  moments.ready_by_index += by_index;
  moments.ready_by_protection += by_protection;
  return 0;
}

}  // namespace

TEST(RelocationState, SaysTheSameByIndexAndByProtection) {
  void* object = dlopen("libresolv.so.2", RTLD_NOW);
  ASSERT_NE(object, nullptr);
  Moments moments;
  dl_iterate_phdr(lookAt, &moments);
  EXPECT_GE(moments.ready_by_protection, 2);
  if (hasObjectIndex()) EXPECT_EQ(moments.ready_by_index, moments.ready_by_protection);
  dlclose(object);
}

TEST(FrameBytes, RefusesMemoryThatIsNotMapped) {
  void* page = mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(page, 7, 8192);
  munmap(static_cast<char*>(page) + 4096, 4096);
  const auto at = reinterpret_cast<uintptr_t>(page);
  uint64_t value = 0;
  FrameBytes bytes(nullptr);
  EXPECT_TRUE(bytes.read(at + 4088, &value, 8));
  EXPECT_EQ(value, 0x0707070707070707U);
  EXPECT_FALSE(bytes.read(at + 4092, &value, 8));
  EXPECT_EQ(value, 0U);
  munmap(page, 4096);
  errno = 0;
  FrameBytes again(nullptr);
  EXPECT_FALSE(again.read(at, &value, 8));
  EXPECT_EQ(errno, 0);
  EXPECT_TRUE(again.hasFailed());
}

TEST(ModuleTable, ReadsTablesOfAnObjectThatIsGone) {
  ModuleTable modules;
  const auto resolv = [&]() -> const Module* {
    const auto* found = static_cast<const Module*>(nullptr);
    void* object = dlopen("libresolv.so.2", RTLD_NOW);
    void* function = dlsym(object, "__b64_ntop");
    modules.update([](const Module&) {});
    found = modules.find(reinterpret_cast<uintptr_t>(function));
    dlclose(object);
    return found;
  };
  const Module* module = resolv();
  ASSERT_NE(module, nullptr);
  ASSERT_NE(module->frames, nullptr);
  FrameBytes bytes(module->frames.get());
  uint8_t version = 0;
  EXPECT_TRUE(bytes.read(module->eh_frame_hdr, &version, 1));
  EXPECT_EQ(version, 1);
  const uint32_t before = modules.generation();
  modules.update([](const Module&) {});
  EXPECT_NE(modules.generation(), before);
  EXPECT_EQ(modules.retiredCount(), 1U);
  modules.freeRetired(1);
  EXPECT_EQ(modules.retiredCount(), 0U);
}

}  // namespace memdrift
