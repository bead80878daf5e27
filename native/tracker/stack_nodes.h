// SPDX-License-Identifier: MIT
// The stack of an allocation as a node of its thread's tree of stacks.
#pragma once

#include <cstdint>

#include "tracker/session.h"

namespace memdrift {

// The stack from the caller of the function whose frame is `frame`; 0 when it cannot be told. In
// hooks, inside of a Recording.
uint32_t currentStack(Recording& recording, const void* frame) noexcept;

// Looks, from JavaScript, whether the walk finds what V8 says; where it does not, V8 will be asked
// at every allocation. False then.
bool checkWalk(TrackedIsolate& isolate, const StackBounds& stack,
               const ModuleTable& modules) noexcept;

}  // namespace memdrift
