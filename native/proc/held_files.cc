// SPDX-License-Identifier: MIT
#include "proc/held_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <optional>

#include "errors.h"
#include "proc/hugetlb.h"
#include "proc/read_file.h"
#include "proc/scan.h"
#include "proc/smaps.h"

namespace memdrift {

namespace {

constexpr uint64_t kBlockBytes = 512;  // unit of st_blocks, whatever the file system's blocks are

std::string folderOf(pid_t pid, const char* name) {
  char path[64];
  if (pid == kSelf)
    snprintf(path, sizeof path, "/proc/self/%s", name);
  else
    snprintf(path, sizeof path, "/proc/%d/%s", pid, name);
  return path;
}

// A process that is ending, or was not waited for, has no namespaces: the kernel refuses mountinfo
// with EINVAL, and for a moment before with ENOENT, while it still shows the process.
std::string mountinfoOf(pid_t pid) {
  std::string text;
  try {
    readProcFile(pid, "mountinfo", text);
  } catch (const Error& error) {
    const bool is_refused = error.errorNumber() == EINVAL;
    const bool is_missing = error.code() == ErrorCode::ERR_UNSUPPORTED && processExists(pid);
    if (!is_refused && !is_missing) throw;
    throw Error(ErrorCode::ERR_GONE, "process " + std::to_string(pid) + " has ended",
                error.errorNumber());
  }
  return text;
}

// Returns the mount of a descriptor's file, from fdinfo: stat of a file on a network file system
// would wait for its server.
std::optional<uint64_t> mountOf(const std::string& folder, const char* descriptor) {
  const int fd = open((folder + "/" + descriptor).c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return {};
  std::array<char, 512> text;
  const ssize_t got = read(fd, text.data(), text.size());
  close(fd);
  if (got <= 0) return {};
  const std::string_view lines(text.data(), static_cast<size_t>(got));
  constexpr std::string_view kLabel = "mnt_id:";
  const size_t at = lines.find(kLabel);
  if (at == lines.npos) return {};
  Scanner scanner(lines.substr(at + kLabel.size()));
  scanner.skipBlanks();
  uint64_t id;
  if (!scanner.decimal(id)) return {};
  return id;
}

class Descriptors {
 public:
  explicit Descriptors(pid_t pid)
      : pid_(pid), folder_(folderOf(pid, "fd")), info_(folderOf(pid, "fdinfo")) {
    mounts_ = parseMounts(mountinfoOf(pid));
    result_.devices = mounts_.memory;
    if (const auto shm = anonymousShmDevice()) result_.devices.push_back({*shm, false});
    if (const auto hugetlb = kernelHugetlbDevices())
      for (const dev_t device : *hugetlb) result_.devices.push_back({device, true});
  }

  HeldFiles read() {
    const std::unique_ptr<DIR, int (*)(DIR*)> folder(opendir(folder_.c_str()), closedir);
    if (!folder) throw Error::fromErrno("open", folder_.c_str());
    errno = 0;
    while (const dirent* entry = readdir(folder.get())) {
      if (entry->d_name[0] != '.') add(dirfd(folder.get()), entry->d_name);
      errno = 0;
    }
    // The kernel ends the list early with ENOENT when the process ends.
    if (errno != 0) throw Error::fromErrno("read", folder_.c_str());
    return std::move(result_);
  }

 private:
  void add(int folder, const char* descriptor) {
    std::array<char, 4096> name;
    const ssize_t length = readlinkat(folder, descriptor, name.data(), name.size());
    // Root may open the folder of a process in another user namespace, but not its links.
    if (length < 0 && (errno == EACCES || errno == EPERM))
      throw Error::fromErrno("readlink", folder_ + "/" + descriptor);
    // Sockets, pipes and the like have no path.
    if (length <= 0 || name[0] != '/') return;
    const auto mount = mountOf(info_, descriptor);
    if (mount && std::ranges::find(mounts_.other_ids, *mount) != mounts_.other_ids.end()) return;
    struct stat status;
    if (fstatat(folder, descriptor, &status, 0) != 0 || !S_ISREG(status.st_mode)) return;
    const bool is_memory = std::ranges::any_of(
        result_.devices, [&](const MemoryDevice& one) { return one.device == status.st_dev; });
    if (!is_memory) return;
    result_.files.push_back({atoi(descriptor),
                             status.st_dev,
                             status.st_ino,
                             static_cast<uint64_t>(status.st_size),
                             static_cast<uint64_t>(status.st_blocks) * kBlockBytes,
                             {name.data(), static_cast<size_t>(length)}});
  }

  pid_t pid_;
  std::string folder_, info_;
  MountList mounts_;
  HeldFiles result_;
};

// O_NOATIME leaves no trace in the file; the kernel allows it to the owner and root only.
// O_NONBLOCK: a lease must not make us wait.
int openUntouched(const char* path) {
  return open(path, O_RDONLY | O_CLOEXEC | O_NOATIME | O_NONBLOCK | O_NOCTTY);
}

}  // namespace

MountList parseMounts(std::string_view mountinfo) {
  MountList result;
  while (!mountinfo.empty()) {
    const std::string_view line = mountinfo.substr(0, mountinfo.find('\n'));
    mountinfo.remove_prefix(std::min(mountinfo.size(), line.size() + 1));
    Scanner scanner(line);
    uint64_t id, device_major, device_minor;
    if (!scanner.decimal(id)) continue;
    scanner.word();  // the parent's id
    scanner.skipBlanks();
    if (!scanner.decimal(device_major) || !scanner.skip(':') || !scanner.decimal(device_minor))
      continue;
    // The kernel escapes spaces in paths, so the separator is in no field.
    const bool is_tmpfs = line.find(" - tmpfs ") != line.npos;
    const bool is_hugetlb = line.find(" - hugetlbfs ") != line.npos;
    if (is_tmpfs || is_hugetlb)
      result.memory.push_back(
          {makedev(static_cast<unsigned>(device_major), static_cast<unsigned>(device_minor)),
           is_hugetlb});
    else
      result.other_ids.push_back(id);
  }
  return result;
}

HeldFiles readHeldFiles(pid_t pid) { return Descriptors(pid).read(); }

double swappedBytesOf(const std::string& path) {
  const int fd = openUntouched(path.c_str());
  if (fd < 0) return NAN;
  struct stat status;
  const bool known = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  if (known && status.st_size == 0) {
    close(fd);
    return 0;
  }
  void* const place = known ? mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ,
                                   MAP_SHARED | MAP_NORESERVE, fd, 0)
                            : MAP_FAILED;
  close(fd);
  if (place == MAP_FAILED) return NAN;
  double swapped = NAN;
  const SmapsTable table = readSmaps(kSelf);
  for (size_t i = 0; i < table.size(); i++)
    if (table.mappings[i].start_address == reinterpret_cast<uintptr_t>(place))
      swapped = table.value(i, SmapsField::swap_bytes);
  munmap(place, static_cast<size_t>(status.st_size));
  return swapped;
}

}  // namespace memdrift
