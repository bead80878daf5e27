// SPDX-License-Identifier: MIT
// Descriptors of the capture's writer, which the tracked program can neither close, reuse nor
// inherit, and which take no number from it.
#pragma once

#include <string_view>

namespace memdrift {

// Gives the calling thread an empty table of descriptors of its own. Returns false where the kernel
// or a filter refuses: the thread then still shares the process's table. A number is valid in its
// own table only: the thread must close what it opened; its end does too.
bool separateDescriptors() noexcept;

// Moves `fd` to a number above those that programs close or use by number; returns the new one, or
// `fd` where there is none.
int moveAway(int fd) noexcept;

// Writes `text` to the process's standard error, also from a thread with a table of its own. Waits
// at most a second for a reader.
void writeToStderr(std::string_view text) noexcept;

}  // namespace memdrift
