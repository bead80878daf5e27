// SPDX-License-Identifier: MIT
// Memory files (tmpfs, memfd, hugetlbfs) that a process has open: their pages are in no RSS while
// no process maps them.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace memdrift {

// A device whose files are memory files.
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

// Lists the memory files that `pid` has open. Never waits for a file system, since it examines no
// other files. Throws ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED. Any thread.
HeldFiles readHeldFiles(pid_t pid);

// Returns the mounts in the text of /proc/PID/mountinfo: devices of memory files, and the ids of
// other mounts.
struct MountList {
  std::vector<MemoryDevice> memory;
  std::vector<uint64_t> other_ids;
};
MountList parseMounts(std::string_view mountinfo);

// Returns how many bytes of a memory file are in swap, which its st_blocks includes; NaN when it
// cannot be opened or mapped. Maps the file and touches none of its pages.
double swappedBytesOf(const std::string& path);

}  // namespace memdrift
