// SPDX-License-Identifier: MIT
// The functions that stand in for the allocators' while a session runs.
#pragma once

#include <vector>

#include "tracker/got_patch.h"

namespace memdrift {

// Each with the function that it calls in turn, found at the first call: once words are patched
// they lead to the hooks themselves. Not in hooks.
const std::vector<Interposed>& interposedFunctions();

// Called after a dlopen() or dlclose() of a program has done its work, on its thread.
void onObjectsChanged(void (*callback)()) noexcept;

// Called before a program installs a filter of system calls, on its thread, with two arguments of
// prctl(PR_SET_SECCOMP): the mode, and a pointer that may be invalid.
using FilterCallback = void (*)(unsigned long mode, const void* filter);
void beforeFilter(FilterCallback callback) noexcept;

}  // namespace memdrift
