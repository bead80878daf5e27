// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

#include <optional>
#include <string_view>
#include <vector>

namespace memdrift {

// The devices whose files are hugetlb memory, as maps prints them. smaps has that memory in
// Shared_Hugetlb and Private_Hugetlb and not in Rss; the page table entries look like those of
// transparent huge pages, so only the device tells the two apart.
class HugetlbDevices {
 public:
  // The kernel's own mounts (MAP_HUGETLB, SHM_HUGETLB, memfd: one for each page size) and the
  // hugetlbfs mounts that `pid` sees. Nothing when one of them cannot be found out.
  static std::optional<HugetlbDevices> of(pid_t pid);

  bool contains(unsigned device_major, unsigned device_minor) const;

 private:
  std::vector<dev_t> devices_;
};

// Returns the devices of the kernel's own mounts of huge pages; nothing when one of them cannot be
// found out. They stay the same while the machine runs, so that only the first call asks for them.
std::optional<std::vector<dev_t>> kernelHugetlbDevices();

// The device of shared memory that has no mount: MAP_SHARED | MAP_ANONYMOUS, System V, memfd.
std::optional<dev_t> anonymousShmDevice();

// Adds the devices of hugetlbfs mounts in the text of /proc/PID/mountinfo.
void addHugetlbMounts(std::string_view mountinfo, std::vector<dev_t>& devices);

}  // namespace memdrift
