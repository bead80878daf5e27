// SPDX-License-Identifier: MIT
// The one list of smaps fields. Parser, columns, sums and the door are made from it; a test
// compares the TypeScript names (src/proc/mappings.ts) with it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memdrift {

// X(name in the kernel's text, C++ name, JavaScript name). Sizes are bytes: the parser multiplies
// what the kernel prints in kB. Every field that kernels 3.10 to 6.18 print, with smaps_rollup's;
// the order is that of 6.18. What a kernel does not print stays NaN.
#define MEMDRIFT_SMAPS_FIELDS(X)                                 \
  X(Size, size_bytes, sizeBytes)                                 \
  X(KernelPageSize, kernel_page_size_bytes, kernelPageSizeBytes) \
  X(MMUPageSize, mmu_page_size_bytes, mmuPageSizeBytes)          \
  X(Rss, rss_bytes, rssBytes)                                    \
  X(Pss, pss_bytes, pssBytes)                                    \
  X(Pss_Dirty, pss_dirty_bytes, pssDirtyBytes)                   \
  X(Pss_Anon, pss_anon_bytes, pssAnonBytes)                      \
  X(Pss_File, pss_file_bytes, pssFileBytes)                      \
  X(Pss_Shmem, pss_shmem_bytes, pssShmemBytes)                   \
  X(Shared_Clean, shared_clean_bytes, sharedCleanBytes)          \
  X(Shared_Dirty, shared_dirty_bytes, sharedDirtyBytes)          \
  X(Private_Clean, private_clean_bytes, privateCleanBytes)       \
  X(Private_Dirty, private_dirty_bytes, privateDirtyBytes)       \
  X(Referenced, referenced_bytes, referencedBytes)               \
  X(Anonymous, anonymous_bytes, anonymousBytes)                  \
  X(KSM, ksm_bytes, ksmBytes)                                    \
  X(LazyFree, lazy_free_bytes, lazyFreeBytes)                    \
  X(AnonHugePages, anon_huge_pages_bytes, anonHugePagesBytes)    \
  X(ShmemPmdMapped, shmem_pmd_mapped_bytes, shmemPmdMappedBytes) \
  X(FilePmdMapped, file_pmd_mapped_bytes, filePmdMappedBytes)    \
  X(Shared_Hugetlb, shared_hugetlb_bytes, sharedHugetlbBytes)    \
  X(Private_Hugetlb, private_hugetlb_bytes, privateHugetlbBytes) \
  X(Swap, swap_bytes, swapBytes)                                 \
  X(SwapPss, swap_pss_bytes, swapPssBytes)                       \
  X(Locked, locked_bytes, lockedBytes)                           \
  X(Nonlinear, nonlinear_bytes, nonlinearBytes)                  \
  X(THPeligible, thp_eligible, thpEligible)                      \
  X(ProtectionKey, protection_key, protectionKey)

enum class SmapsField : uint8_t {
#define MEMDRIFT_DECLARE(kernel, name, js) name,
  MEMDRIFT_SMAPS_FIELDS(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};

#define MEMDRIFT_COUNT(kernel, name, js) +1
inline constexpr size_t kSmapsFieldCount = 0 MEMDRIFT_SMAPS_FIELDS(MEMDRIFT_COUNT);
#undef MEMDRIFT_COUNT

}  // namespace memdrift
