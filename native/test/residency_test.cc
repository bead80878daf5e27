// SPDX-License-Identifier: MIT
// The scan of page tables must give what smaps gives, for every kind of page that a process without
// privileges can make. Hugetlb needs root: test/system/residency.test.ts.
#include "proc/residency.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>

#include "proc/smaps.h"
#include "test/child.h"

namespace memdrift {

constexpr size_t kSize = 8 << 20;
constexpr int kReadWrite = PROT_READ | PROT_WRITE;

static char* mapped(int protection, int flags, int fd = -1) {
  void* memory = mmap(nullptr, kSize, protection, flags, fd, 0);
  if (memory == MAP_FAILED) _exit(1);
  return static_cast<char*>(memory);
}

static void touch(char* memory, size_t size) {
  for (size_t i = 0; i < size; i += 4096) memory[i] = 1;
}

static void read(const char* memory, size_t size) {
  for (size_t i = 0; i < size; i += 4096)
    static_cast<void>(*static_cast<const volatile char*>(memory + i));
}

static int temporaryFile(size_t size) {
  char name[] = "/tmp/memdrift-residency-XXXXXX";
  const int fd = mkstemp(name);
  unlink(name);
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) _exit(1);
  return fd;
}

static void expectLikeSmaps(const std::function<void()>& set_up, Residency::Source source) {
  const StoppedChild child(set_up);
  ASSERT_TRUE(child.stopped());
  const Residency residency = readResidency(child.pid());
  EXPECT_EQ(residency.source, source) << residency.reason;
  const SmapsTable smaps = readSmaps(child.pid());
  ASSERT_EQ(residency.mappings.size(), smaps.size());
  for (size_t i = 0; i < smaps.size(); i++) {
    SCOPED_TRACE(residency.mappings.nameOf(i) + " " + residency.mappings.permissionsOf(i));
    EXPECT_EQ(residency.mappings[i].start_address, smaps.mappings[i].start_address);
    const double rss = smaps.value(i, SmapsField::rss_bytes);
    const double anonymous = smaps.value(i, SmapsField::anonymous_bytes);
    EXPECT_EQ(residency.rss_bytes[i], rss);
    EXPECT_EQ(residency.anonymous_bytes[i], anonymous);
    EXPECT_EQ(residency.file_bytes[i], rss - anonymous);
    EXPECT_EQ(residency.swap_bytes[i], smaps.value(i, SmapsField::swap_bytes));
  }
}

TEST(Residency, CountsAnonymousPagesAndNoZeroPages) {
  expectLikeSmaps(
      [] {
        char* memory = mapped(kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
        madvise(memory, kSize, MADV_NOHUGEPAGE);
        touch(memory, kSize / 4);
        read(memory, kSize / 2);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, CountsTransparentHugePagesAndNoHugeZeroPage) {
  expectLikeSmaps(
      [] {
        char* memory = mapped(kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
        madvise(memory, kSize, MADV_HUGEPAGE);
        touch(memory, kSize / 2);
        read(memory + kSize / 2, kSize / 2);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, CountsCopiedPagesOfAPrivateFileAsAnonymous) {
  expectLikeSmaps(
      [] {
        const int fd = temporaryFile(kSize);
        char* shared = mapped(kReadWrite, MAP_SHARED, fd);
        touch(shared, kSize / 2);
        char* copied = mapped(kReadWrite, MAP_PRIVATE, fd);
        read(copied, kSize / 2);
        touch(copied, kSize / 8);
        read(mapped(PROT_READ, MAP_SHARED, fd), kSize);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, CountsSharedMemoryOfEveryKind) {
  expectLikeSmaps(
      [] {
        touch(mapped(kReadWrite, MAP_SHARED | MAP_ANONYMOUS), kSize / 2);
        const int fd = memfd_create("residency", 0);
        if (ftruncate(fd, kSize) != 0) _exit(1);
        touch(mapped(kReadWrite, MAP_SHARED, fd), kSize);
        read(mapped(PROT_READ, MAP_SHARED, fd), kSize / 2);
        char* copied = mapped(kReadWrite, MAP_PRIVATE, fd);
        read(copied, kSize);
        touch(copied, kSize / 4);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, CountsPagesThatMayNotBeTouchedAnyMore) {
  expectLikeSmaps(
      [] {
        mapped(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS);
        char* memory = mapped(kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
        touch(memory, kSize);
        mprotect(memory + kSize / 4, kSize / 4, PROT_NONE);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, DoesNotTakeGuardPagesForSwap) {
  expectLikeSmaps(
      [] {
        char* memory = mapped(kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
        touch(memory, kSize);
        constexpr int kGuardInstall =
            102;  // MADV_GUARD_INSTALL; without it (before 6.13) nothing is
        madvise(memory, kSize / 4, kGuardInstall);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, CountsManyMappingsThatTouchEachOther) {
  expectLikeSmaps(
      [] {
        char* memory = mapped(kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS);
        madvise(memory, kSize, MADV_NOHUGEPAGE);
        touch(memory, kSize);
        for (size_t at = 0; at < kSize; at += 8192) mprotect(memory + at, 4096, PROT_READ);
        for (size_t at = 0; at < kSize; at += 16384) madvise(memory + at, 4096, MADV_DONTNEED);
      },
      Residency::Source::kPagemap);
}

TEST(Residency, CountsOnceWhereRangesFillTheBuffers) {
  expectLikeSmaps(
      [] {
        constexpr size_t kLarge = 8 * kSize;  // 16,384 pages, every second one: 8,192 ranges
        char* memory = static_cast<char*>(
            mmap(nullptr, kLarge, kReadWrite, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
        if (memory == MAP_FAILED) _exit(1);
        madvise(memory, kLarge, MADV_NOHUGEPAGE);
        for (size_t at = 0; at < kLarge; at += 8192) memory[at] = 1;
      },
      Residency::Source::kPagemap);
}

TEST(Residency, ReadsSmapsWhereAPrivateMappingIsOfADevice) {
  expectLikeSmaps(
      [] {
        const int fd = open("/dev/zero", O_RDWR);
        touch(mapped(kReadWrite, MAP_PRIVATE, fd), kSize / 2);
      },
      Residency::Source::kSmaps);
}

}  // namespace memdrift
