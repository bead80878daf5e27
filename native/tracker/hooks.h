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

}  // namespace memdrift
