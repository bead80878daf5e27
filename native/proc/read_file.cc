// SPDX-License-Identifier: MIT
#include "proc/read_file.h"

#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "errors.h"

namespace memdrift {

namespace {

// ENOENT has four meanings; only one of them is that the process is gone.
[[noreturn]] void throwMissing(pid_t pid, const char* path) {
  const std::string target(path);
  if (access("/proc/self", F_OK) != 0)
    throw Error(ErrorCode::ERR_UNSUPPORTED, "open of " + target + " failed: /proc is not mounted",
                ENOENT);
  // kill(0) and kill(-1) would address groups, so only a real pid may be asked for.
  if (pid > 0 && kill(pid, 0) != 0 && errno == EPERM && !processExists(pid))
    throw Error(ErrorCode::ERR_DENIED,
                "open of " + target + " failed: the process exists but /proc hides it (hidepid)",
                ENOENT);
  if (processExists(pid))
    throw Error(ErrorCode::ERR_UNSUPPORTED,
                "open of " + target + " failed: this kernel has no such file", ENOENT);
  throw Error(ErrorCode::ERR_GONE, "open of " + target + " failed: there is no such process",
              ENOENT);
}

[[noreturn]] void throwDenied(const char* path) {
  const int error_number = errno;
  throw Error(ErrorCode::ERR_DENIED,
              "open of " + std::string(path) + " failed: " + strerror(error_number) +
                  ". Run as the owner of the process or with CAP_SYS_PTRACE; its counters "
                  "(/proc/PID/status) are open to all",
              error_number);
}

}  // namespace

pid_t ownPidInProc() {
  char text[32] = {};
  return readlink("/proc/self", text, sizeof text - 1) > 0 ? atoi(text) : 0;
}

ProcFile::ProcFile(pid_t pid, const char* name) {
  if (pid == kSelf)
    snprintf(path_, sizeof path_, "/proc/self/%s", name);
  else
    snprintf(path_, sizeof path_, "/proc/%d/%s", pid, name);
  do {
    fd_ = open(path_, O_RDONLY | O_CLOEXEC);
  } while (fd_ < 0 && errno == EINTR);
  if (fd_ >= 0) return;
  if (errno == ENOENT) throwMissing(pid, path_);
  if (errno == EACCES || errno == EPERM) throwDenied(path_);
  throw Error::fromErrno("open", path_);
}

ProcFile::~ProcFile() { close(fd_); }

size_t ProcFile::read(char* buffer, size_t size) {
  ssize_t got;
  do {
    got = ::read(fd_, buffer, size);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw Error::fromErrno("read", path_);
  return static_cast<size_t>(got);
}

bool processExists(pid_t pid) {
  char path[sizeof(int) * 3 + sizeof "/proc/"];
  snprintf(path, sizeof path, "/proc/%d", pid);
  return pid == kSelf || access(path, F_OK) == 0;
}

void readProcFile(pid_t pid, const char* name, std::string& text) {
  ProcFile file(pid, name);
  constexpr size_t kFirstRead = 4096;
  size_t length = 0;
  text.resize(kFirstRead);
  while (size_t got = file.read(text.data() + length, text.size() - length)) {
    length += got;
    if (length == text.size()) text.resize(2 * text.size());
  }
  text.resize(length);
}

}  // namespace memdrift
