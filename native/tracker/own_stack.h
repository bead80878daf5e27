// SPDX-License-Identifier: MIT
// Where the calling thread's stack is, so that a walk never reads beyond it.
//
// pthread_getattr_np() knows, but holds a lock of the thread meanwhile and takes heap under it: a
// hook that asked it while the program did waited for itself for ever, which a worker's start does.
#pragma once

#include "tracker/stack_walk.h"

namespace memdrift {

// From the kernel's list of mappings, some 100 us, or what rememberOwnStack() found. In hooks: no
// heap, no lock. Empty where it cannot be told.
StackBounds ownStack() noexcept;

// By glibc. For a thread that is about to run its function, where nothing of glibc is under way.
void rememberOwnStack() noexcept;

}  // namespace memdrift
