// SPDX-License-Identifier: MIT
// Whether /dev/shm, and the machine behind it, can give what is asked for.
#pragma once

#include <cstdint>
#include <string>

#include "errors.h"

namespace memdrift {

inline constexpr const char* kShmFolder = "/dev/shm";

// Throws ERR_FULL if the file system could not have a file of that size even if it were empty.
void checkFits(const std::string& path, uint64_t file_bytes);

// Throws ERR_FULL if the file system has less than `bytes` free, ERR_NO_MEMORY if the machine has:
// tmpfs asks nobody how much memory there is, and the kernel would end a process for it. Somebody
// may take what is free after the look, so allocation can still fail.
void checkFreeSpace(const std::string& path, uint64_t bytes);

// The ERR_FULL that says what was asked for and what is free.
Error noFreeSpace(const std::string& path, uint64_t bytes);

}  // namespace memdrift
