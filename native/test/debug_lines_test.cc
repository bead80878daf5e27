// SPDX-License-Identifier: MIT
#include "analysis/debug_lines.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <link.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <random>

#include "analysis/demangled_name.h"
#include "analysis/elf_file.h"
#include "analysis/elf_symbols.h"
#include "analysis/libdw.h"
#include "test/temporary_folder.h"

namespace memdrift {

namespace {

// `ask` is called where a function would allocate; what it returns is used, so that no call is a
// jump. The lines that the tests expect are counted from the first one of this.
constexpr char kSource[] = R"(namespace shop {
namespace {
__attribute__((always_inline)) inline int take(int (*ask)()) {
  return ask() + 1;
}
__attribute__((noinline)) int hide(int (*ask)()) {
  return ask() + 2;
}
}  // namespace
struct Basket {
  __attribute__((always_inline)) static int fill(int (*ask)(), bool is_twice) {
    if (!is_twice) return 5;
    return take(ask) *
        3;
  }
};
__attribute__((noinline)) int buy(int (*ask)(), int count) {
  return Basket::fill(ask, count != 0) + count;
}
}  // namespace shop
extern "C" int bought(int (*ask)()) { return shop::buy(ask, 7) + shop::hide(ask); }
extern "C" int f(int (*ask)()) {

  return ask() + 4;
}
)";

std::vector<uintptr_t> g_asked;

int noteCaller() {
  g_asked.push_back(reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
  return 1;
}

// Of an address that is a return address, as the analysis asks: of the call before it.
uint64_t fileOffsetOf(uintptr_t pc) {
  struct Search {
    uintptr_t address;
    uint64_t offset;
  } search = {pc - 1, 0};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto& of = *static_cast<Search*>(data);
        for (int i = 0; i < info->dlpi_phnum; i++) {
          const ElfW(Phdr)& segment = info->dlpi_phdr[i];
          const uintptr_t start = info->dlpi_addr + segment.p_vaddr;
          if (segment.p_type == PT_LOAD && of.address - start < segment.p_filesz)
            of.offset = of.address - start + segment.p_offset;
        }
        return 0;
      },
      &search);
  return search.offset;
}

std::string buildIdOf(const std::string& path) {
  const MappedFile mapped(path);
  return ElfFile(mapped).buildId();
}

std::string readAll(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void writeAll(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<long>(bytes.size()));
}

std::string basename(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class DebugLinesTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_NE(libdw(), nullptr) << "install libdw1, as .ci/run does"; }

  void run(const std::string& command) { ASSERT_EQ(system(command.c_str()), 0) << command; }

  // Fills `calls_` with the offsets of the three calls of `ask`.
  void compile(const std::string& flags) {
    writeAll(folder_.file("shop.cc"), kSource);
    run("cd " + folder_.file("") + " && c++ -O2 -fPIC -shared -Wl,--build-id " + flags +
        " -o shop.so shop.cc");
    void* object = dlopen(object_.c_str(), RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(object, nullptr) << dlerror();
    using Function = int (*)(int (*)());
    g_asked.clear();
    for (const char* name : {"bought", "f"})
      reinterpret_cast<Function>(dlsym(object, name))(noteCaller);
    ASSERT_EQ(g_asked.size(), 3U);
    calls_.clear();
    for (const uintptr_t pc : g_asked) calls_.push_back(fileOffsetOf(pc));
    dlclose(object);
  }

  void expectLines(const DebugLines& lines) {
    const std::vector<DebugLine> inlined = lines.at(calls_[0]);
    ASSERT_EQ(inlined.size(), 3U);
    EXPECT_EQ(inlined[0].function, "shop::(anonymous namespace)::take");
    EXPECT_EQ(inlined[0].line, 4U);
    EXPECT_TRUE(inlined[0].is_inlined);
    EXPECT_EQ(inlined[1].function, "shop::Basket::fill(int (*)(), bool)");
    EXPECT_EQ(inlined[1].line, 13U);
    EXPECT_TRUE(inlined[1].is_inlined);
    EXPECT_EQ(inlined[2].function, "shop::buy(int (*)(), int)");
    EXPECT_EQ(inlined[2].line, 18U);
    EXPECT_FALSE(inlined[2].is_inlined);
    for (const DebugLine& one : inlined) EXPECT_EQ(basename(one.file), "shop.cc");
    const std::vector<DebugLine> hidden = lines.at(calls_[1]);
    ASSERT_EQ(hidden.size(), 1U);
    EXPECT_EQ(hidden[0].line, 7U);
    const std::vector<DebugLine> of_c = lines.at(calls_[2]);
    ASSERT_EQ(of_c.size(), 1U);
    EXPECT_EQ(of_c[0].function, "f");
    EXPECT_EQ(of_c[0].line, 24U);
    EXPECT_FALSE(of_c[0].is_inlined);
  }

  const TemporaryFolder folder_;
  const std::string object_ = folder_.file("shop.so");
  std::vector<uint64_t> calls_;
};

class DebugFormats : public DebugLinesTest, public testing::WithParamInterface<const char*> {};

}  // namespace

TEST_P(DebugFormats, TellLinesAndInlinedFunctions) {
  compile(GetParam());
  expectLines(DebugLines(object_, ""));
  expectLines(DebugLines(object_, buildIdOf(object_)));
}

INSTANTIATE_TEST_SUITE_P(Debug, DebugFormats,
                         testing::Values("-g", "-gdwarf-4", "-gdwarf-5", "-g -gz",
                                         "-g -gsplit-dwarf", "-g -fdebug-types-section"));

TEST_F(DebugLinesTest, ColumnsAreOfTheCall) {
  compile("-g");
  const std::vector<DebugLine> lines = DebugLines(object_, "").at(calls_[0]);
  ASSERT_EQ(lines.size(), 3U);
  EXPECT_EQ(lines[0].column, 13U);
  EXPECT_EQ(lines[1].column, 16U);
  EXPECT_EQ(lines[2].column, 22U);
}

TEST_F(DebugLinesTest, WithoutDebugInfoNothingIsKnown) {
  compile("-g");
  run("strip " + object_);
  const DebugLines lines(object_, "");
  for (const uint64_t offset : calls_) EXPECT_TRUE(lines.at(offset).empty());
}

TEST_F(DebugLinesTest, WhatIsNoCodeHasNoLines) {
  compile("-g");
  const DebugLines lines(object_, "");
  for (const uint64_t offset : {0UL, 64UL, readAll(object_).size(), 1UL << 40, ~0UL})
    EXPECT_TRUE(lines.at(offset).empty()) << offset;
}

TEST_F(DebugLinesTest, AnotherBuildHasNoLines) {
  compile("-g");
  std::string other = buildIdOf(object_);
  ASSERT_FALSE(other.empty());
  other.back() = static_cast<char>(other.back() ^ 1);
  EXPECT_TRUE(DebugLines(object_, other).at(calls_[0]).empty());
}

TEST_F(DebugLinesTest, DebugInfoBesideTheObjectIsFound) {
  compile("-g");
  run("cd " + folder_.file("") +
      " && mkdir .debug && objcopy --only-keep-debug shop.so .debug/shop.debug &&"
      " strip shop.so && objcopy --add-gnu-debuglink=.debug/shop.debug shop.so");
  expectLines(DebugLines(object_, ""));
  expectLines(DebugLines(object_, buildIdOf(object_)));
  const std::string debug = folder_.file(".debug/shop.debug");
  ASSERT_EQ(buildIdOf(debug), buildIdOf(object_));
  run("echo 'int a;' >" + folder_.file("a.cc") + " && c++ -g -shared -Wl,--build-id -o " + debug +
      " " + folder_.file("a.cc"));
  EXPECT_TRUE(DebugLines(object_, "").at(calls_[0]).empty()) << "of another build";
}

TEST_F(DebugLinesTest, WhatIsNoObjectHasNoLines) {
  const std::string pipe = folder_.file("pipe");
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  writeAll(folder_.file("text"), "not an object");
  writeAll(folder_.file("empty"), "");
  for (const std::string& path :
       {pipe, folder_.file("text"), folder_.file("empty"), folder_.file(""), folder_.file("gone")})
    EXPECT_TRUE(DebugLines(path, "").at(0x1000).empty()) << path;
}

TEST_F(DebugLinesTest, AFileThatIsTooBigIsLeftAlone) {
  compile("-g");
  ASSERT_EQ(truncate(object_.c_str(), (1LL << 30) + 1), 0);
  EXPECT_TRUE(DebugLines(object_, "").at(calls_[0]).empty());
}

TEST_F(DebugLinesTest, AFileThatIsCutOffEndsNothing) {
  compile("-g");
  const std::string whole = readAll(object_);
  const std::string cut = folder_.file("cut.so");
  for (size_t bytes = 0; bytes < whole.size(); bytes += whole.size() / 64) {
    writeAll(cut, whole.substr(0, bytes));
    const DebugLines lines(cut, "");
    for (const uint64_t offset : calls_) lines.at(offset);
  }
}

// The section headers are at the end: what is broken in the middle is found, and read.
TEST_F(DebugLinesTest, BrokenDebugInfoEndsNothing) {
  std::mt19937 random(7);
  for (const char* flags : {"-gdwarf-4", "-gdwarf-5"}) {
    compile(flags);
    const std::string whole = readAll(object_);
    const std::string broken = folder_.file("broken.so");
    for (const char* section : {".debug_info", ".debug_abbrev", ".debug_line", ".debug_str",
                                ".debug_ranges", ".debug_rnglists", ".debug_line_str"}) {
      const MappedFile mapped(object_);
      const ElfFile elf(mapped);
      const Elf64_Shdr* found = elf.sectionNamed(section);
      if (!found) continue;
      for (int copy = 0; copy < 40; copy++) {
        std::string bytes = whole;
        const auto changes = copy < 30 ? 1 + random() % 8 : found->sh_size;
        for (uint64_t i = 0; i < changes; i++)
          bytes[found->sh_offset + random() % found->sh_size] = static_cast<char>(random());
        writeAll(broken, bytes);
        const DebugLines lines(broken, "");
        for (const uint64_t offset : calls_) lines.at(offset);
      }
    }
  }
}

TEST(DebugNames, NamesOfCAreLeftAsTheyAre) {
  EXPECT_EQ(demangledName("f"), "f");
  EXPECT_EQ(demangledName("_Z1fi"), "f(int)");
  EXPECT_EQ(demangledName("_Znot"), "_Znot");
}

}  // namespace memdrift
