// SPDX-License-Identifier: MIT
#include "proc/system_counters.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cstring>

namespace memdrift {
namespace {

TEST(SystemCounters, AddsUpHugePagesOfEachKind) {
  const SystemLook look = parseVmstat(
      "nr_mapped 7\nthp_fault_alloc 3\nthp_collapse_alloc 4\n"
      "thp_collapse_alloc_failed 50\nthp_file_mapped 5\nnr_shmem 9\npgfault 900",
      1 << 21);
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  EXPECT_EQ(look.huge_bytes, 12 << 21);
  EXPECT_EQ(look.faulted_huge_bytes, 3 << 21);
  EXPECT_EQ(look.mapped_bytes, 7 * page);
  EXPECT_EQ(look.shmem_bytes, 9 * page);
  EXPECT_EQ(look.fault_bytes, 900 * page);
}

TEST(SystemCounters, LeavesUnknownWhatTheTextLacks) {
  const SystemLook look = parseVmstat("pgfault 1\n", 1 << 21);
  EXPECT_TRUE(std::isnan(look.huge_bytes));
  EXPECT_TRUE(std::isnan(look.shmem_bytes));
  EXPECT_TRUE(std::isnan(look.mapped_bytes));
}

TEST(SystemCounters, TakesTheSettingInBracketsForTheOneInForce) {
  EXPECT_TRUE(isEnabled("always [madvise] never\n"));
  EXPECT_FALSE(isEnabled("always inherit madvise [never]\n"));
  EXPECT_FALSE(isEnabled("always within_size advise never [deny] force\n"));
  EXPECT_FALSE(isEnabled(""));
}

TEST(SystemCounters, BoundWhatOwnFaultsDoNotShow) {
  constexpr size_t kBytes = 64 << 20;
  const SystemCounters counters;
  ASSERT_GE(counters.anonPagesPerFault(), 1);
  ASSERT_GE(counters.filePagesPerFault(), 1);
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  madvise(memory, kBytes, MADV_HUGEPAGE);
  const auto faultsNow = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_minflt + usage.ru_majflt);
  };
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  const double before = faultsNow(), huge_before = counters.look().huge_bytes;
  memset(memory, 1, kBytes);
  const double faulted = page * counters.anonPagesPerFault() * (faultsNow() - before);
  EXPECT_GE(faulted + counters.look().huge_bytes - huge_before, kBytes);
  munmap(memory, kBytes);
}

}  // namespace
}  // namespace memdrift
