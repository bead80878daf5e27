// SPDX-License-Identifier: MIT
// Judges a filter of system calls (seccomp) that the program installs, before it is active.
#pragma once

#include <linux/filter.h>

#include <span>

namespace memdrift {

// Returns true when `filter` may do anything to a call of the tracker except allow, log or refuse
// it: end the process or a thread, raise SIGSYS, or leave the call to another process. A filter
// that the kernel would reject counts as one that may.
bool mayPunishTracker(std::span<const sock_filter> filter);

// Returns true when the program's call, which has not been made yet, installs such a filter, or
// strict mode. `filter` is the program's pointer to a sock_fprog, which may be invalid.
bool punishesTracker(unsigned long mode, const void* filter);

}  // namespace memdrift
