// SPDX-License-Identifier: MIT
#include "proc/huge_faults.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include <cstring>

namespace memdrift {
namespace {

TEST(HugeFaults, AddsUpTheCountersThatAreThere) {
  EXPECT_EQ(hugePagesIn("pgfault 900\nthp_fault_alloc 3\nthp_collapse_alloc 4\n"
                        "thp_collapse_alloc_failed 50\nthp_file_mapped 5\nnr_unstable 0\n"),
            12);
  EXPECT_EQ(hugePagesIn("thp_fault_alloc 3"), 3);
}

TEST(HugeFaults, DoesNotTakeAKernelWithoutHugePagesForOneWithNone) {
  EXPECT_TRUE(std::isnan(hugePagesIn("pgfault 900\npgmajfault 1\n")));
  EXPECT_TRUE(std::isnan(hugePagesIn("")));
}

TEST(HugeFaults, TakesASettingInBracketsForTheOneInForce) {
  EXPECT_TRUE(isEnabled("always [madvise] never\n"));
  EXPECT_FALSE(isEnabled("always inherit madvise [never]\n"));
  EXPECT_FALSE(isEnabled("always within_size advise never [deny] force\n"));
  EXPECT_FALSE(isEnabled(""));
}

TEST(HugeFaults, CountsWhatFaultsOfThisProcessDoNot) {
  constexpr size_t kBytes = 64 << 20;
  const HugeFaults faults;
  ASSERT_GE(faults.faultPages(), 1);
  void* memory = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  madvise(memory, kBytes, MADV_HUGEPAGE);
  const auto faultsNow = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return static_cast<double>(usage.ru_minflt + usage.ru_majflt);
  };
  const double before = faultsNow(), huge_before = faults.readBytes();
  memset(memory, 1, kBytes);
  const double grown = 4096 * faults.faultPages() * (faultsNow() - before);
  EXPECT_GE(grown + faults.readBytes() - huge_before, kBytes);
  munmap(memory, kBytes);
}

}  // namespace
}  // namespace memdrift
