// SPDX-License-Identifier: MIT
// Replaces this process by a program: no launcher is left that could lose a signal, change an exit
// code or hold memory.
#pragma once

#include <string>
#include <vector>

namespace memdrift {

// Runs `file` in the place of this process, with the descriptors that this process was given.
// Returns only if that fails, with errno.
int becomeProgram(const std::string& file, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& environment);

}  // namespace memdrift
