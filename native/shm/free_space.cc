// SPDX-License-Identifier: MIT
#include "shm/free_space.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <fstream>
#include <optional>

namespace memdrift {

namespace {

struct FileSystem {
  uint64_t total_bytes;
  uint64_t free_bytes;
  bool unlimited;  // a tmpfs mounted with size=0 says that it has no blocks
};

FileSystem fileSystem() {
  struct statvfs status{};
  if (statvfs(kShmFolder, &status) != 0) throw Error::fromErrno("statvfs", kShmFolder);
  return {uint64_t{status.f_blocks} * status.f_frsize, uint64_t{status.f_bavail} * status.f_frsize,
          status.f_blocks == 0};
}

// What the kernel can give without ending a process; nothing where it does not say.
std::optional<uint64_t> availableMemoryBytes() {
  std::ifstream meminfo("/proc/meminfo");
  std::optional<uint64_t> available_kb;
  uint64_t swap_kb = 0;
  uint64_t value_kb = 0;
  for (std::string name, unit; meminfo >> name >> value_kb; std::getline(meminfo, unit)) {
    if (name == "MemAvailable:") available_kb = value_kb;
    if (name == "SwapFree:") swap_kb = value_kb;
  }
  if (!available_kb) return std::nullopt;
  return (*available_kb + swap_kb) * 1024;
}

}  // namespace

void checkFits(const std::string& path, uint64_t file_bytes) {
  const FileSystem file_system = fileSystem();
  if (file_system.unlimited || file_bytes <= file_system.total_bytes) return;
  throw Error(ErrorCode::ERR_FULL, path + " needs " + std::to_string(file_bytes) + " bytes, but " +
                                       kShmFolder + " has " +
                                       std::to_string(file_system.total_bytes) +
                                       " in all; ask for less, or mount it larger");
}

void checkFreeSpace(const std::string& path, uint64_t bytes) {
  const FileSystem file_system = fileSystem();
  if (!file_system.unlimited && bytes > file_system.free_bytes) throw noFreeSpace(path, bytes);
  const std::optional<uint64_t> available_bytes = availableMemoryBytes();
  if (!available_bytes || bytes <= *available_bytes) return;
  throw Error(ErrorCode::ERR_NO_MEMORY,
              path + " needs " + std::to_string(bytes) + " bytes, but the machine has " +
                  std::to_string(*available_bytes) + " to give; ask for less");
}

Error noFreeSpace(const std::string& path, uint64_t bytes) {
  return Error(ErrorCode::ERR_FULL,
               std::string(kShmFolder) + " is full: " + std::to_string(bytes) +
                   " bytes were asked for in " + path + ", " +
                   std::to_string(fileSystem().free_bytes) +
                   " are free; release what you hold there, or mount it larger",
               ENOSPC);
}

}  // namespace memdrift
