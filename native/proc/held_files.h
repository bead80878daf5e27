// SPDX-License-Identifier: MIT
// Files of memory (tmpfs, memfd, hugetlbfs) that a process has open: their pages are in no RSS
// while no process maps them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memdrift {

// A device whose files are memory.
struct MemoryDevice {
  dev_t device;
  bool is_hugetlb;
};

struct HeldFile {
  int descriptor;
  dev_t device;
  uint64_t inode, size_bytes, allocated_bytes;
  std::string name;  // as the kernel prints it, with " (deleted)" where it has no name
};

struct HeldFiles {
  std::vector<MemoryDevice> devices;  // those that the process can see, and the kernel's own
  std::vector<HeldFile> files;        // one for each descriptor
};

// Never waits for a file system: only files of memory are looked at. Throws ERR_GONE, ERR_DENIED,
// ERR_UNSUPPORTED. Any thread.
HeldFiles readHeldFiles(pid_t pid);

// The mounts in the text of /proc/PID/mountinfo: devices of memory, and the ids of other mounts.
struct MountList {
  std::vector<MemoryDevice> memory;
  std::vector<uint64_t> other_ids;
};
MountList parseMounts(std::string_view mountinfo);

// Bytes of a file of memory that are in swap, which its st_blocks counts. Maps the file for that
// and touches none of its pages. NaN: the file cannot be opened or mapped.
double swappedBytesOf(const std::string& path);

}  // namespace memdrift
