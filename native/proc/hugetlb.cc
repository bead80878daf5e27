// SPDX-License-Identifier: MIT
#include "proc/hugetlb.h"

#include <dirent.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <memory>
#include <mutex>
#include <string>

#include "errors.h"
#include "proc/read_file.h"
#include "proc/scan.h"

namespace memdrift {

namespace {

#ifndef MFD_HUGE_SHIFT
#define MFD_HUGE_SHIFT 26
#endif

// An empty memfd takes no page, of whatever size its pages would be.
std::optional<dev_t> deviceOfMemfd(unsigned flags) {
  const int fd = memfd_create("memdrift-device", MFD_CLOEXEC | flags);
  if (fd < 0) return {};
  struct stat status;
  const bool known = fstat(fd, &status) == 0;
  close(fd);
  if (!known) return {};
  return status.st_dev;
}

// Returns nothing when the page sizes of this machine cannot be listed; a kernel without hugetlb
// has none.
std::optional<std::vector<dev_t>> findKernelDevices() {
  constexpr std::string_view kPrefix = "hugepages-";
  std::vector<dev_t> devices;
  const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir("/sys/kernel/mm/hugepages"), closedir);
  if (!folder && access("/sys/kernel/mm", F_OK) != 0) return {};
  if (!folder) return devices;
  while (const dirent* entry = readdir(folder.get())) {
    std::string_view name = entry->d_name;
    if (!name.starts_with(kPrefix)) continue;
    uint64_t size_kb;
    Scanner scanner(name.substr(kPrefix.size()));
    if (!scanner.decimal(size_kb) || !std::has_single_bit(size_kb)) return {};
    const unsigned log2_bytes = static_cast<unsigned>(std::countr_zero(size_kb)) + 10;
    const auto device = deviceOfMemfd(MFD_HUGETLB | log2_bytes << MFD_HUGE_SHIFT);
    if (!device) return {};
    devices.push_back(*device);
  }
  return devices;
}

}  // namespace

void addHugetlbMounts(std::string_view mountinfo, std::vector<dev_t>& devices) {
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    if (line.find(" - hugetlbfs ") == line.npos) continue;
    Scanner scanner(line);
    scanner.word();  // mount id
    scanner.word();  // parent's id
    scanner.skipBlanks();
    uint64_t device_major, device_minor;
    if (scanner.decimal(device_major) && scanner.skip(':') && scanner.decimal(device_minor))
      devices.push_back(
          makedev(static_cast<unsigned>(device_major), static_cast<unsigned>(device_minor)));
  }
}

std::optional<std::vector<dev_t>> kernelHugetlbDevices() {
  static std::mutex mutex;
  static std::optional<std::vector<dev_t>> known;
  const std::lock_guard lock(mutex);
  if (!known) known = findKernelDevices();
  return known;
}

std::optional<HugetlbDevices> HugetlbDevices::of(pid_t pid) {
  HugetlbDevices result;
  const auto kernel = kernelHugetlbDevices();
  if (!kernel) return {};
  result.devices_ = *kernel;
  try {
    std::string text;
    readProcFile(pid, "mountinfo", text);
    addHugetlbMounts(text, result.devices_);
  } catch (const Error&) {
    return {};
  }
  return result;
}

bool HugetlbDevices::contains(unsigned device_major, unsigned device_minor) const {
  return std::ranges::find(devices_, makedev(device_major, device_minor)) != devices_.end();
}

std::optional<dev_t> anonymousShmDevice() {
  static std::atomic<dev_t> known = 0;
  if (known != 0) return known;
  const auto device = deviceOfMemfd(0);
  if (device) known = *device;
  return device;
}

}  // namespace memdrift
