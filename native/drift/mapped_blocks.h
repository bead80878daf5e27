// SPDX-License-Identifier: MIT
// Blocks of malloc's that are mappings of their own: large ones.
#pragma once

#include "drift/arena_finder.h"
#include "drift/frozen_memory.h"
#include "drift/walk_result.h"

namespace memdrift {

// Looks for them in all anonymous memory that is of no arena, by their headers: neighbours among
// mappings are one piece to the kernel, so that a block may begin at any page. Fills
// result.blocks. Memory of somebody else may look the same: whoever uses it compares count and sum
// with what malloc says.
bool findMappedBlocks(FrozenMemory& memory, ArenaFinder& finder, WalkResult& result);

}  // namespace memdrift
