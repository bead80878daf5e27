// SPDX-License-Identifier: MIT
// What of a process's memory the kernel tells that is in no text of /proc.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "proc/pagemap.h"

namespace memdrift {

// An address in the stack of each thread but the first, which has one of its own kind: the C
// library keeps a thread's list of robust mutexes, whose address the kernel has, in the thread's
// control block, at the upper end of its stack. Threads that have none (musl's, before the first
// such mutex) and those of a process that may not be asked are missing. `pid` -1 is this process.
std::vector<uint64_t> findThreadBlocks(pid_t pid);

// Bytes in resident anonymous pages of each of the ranges, which are whole pages. Pages of zeros
// are not resident, where the kernel tells them (6.7). Nothing: the kernel does not say. `pid` -1
// is this process.
std::optional<std::vector<uint64_t>> residentIn(pid_t pid, const std::vector<AddressRange>& ranges);

}  // namespace memdrift
