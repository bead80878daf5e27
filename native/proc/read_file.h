// SPDX-License-Identifier: MIT
// Files of /proc/PID. All throw Error and say which: ERR_GONE (no such process, or it ended while
// it was read), ERR_DENIED (another user's), ERR_UNSUPPORTED (this kernel has no such file).
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <string>

namespace memdrift {

// Stands for the calling process wherever a pid is taken: /proc/self is right also where /proc
// shows the pids of another namespace.
inline constexpr pid_t kSelf = -1;
// Returns this process's pid in /proc, or 0 without /proc. It differs from getpid() where /proc
// shows another pid namespace.
pid_t ownPidInProc();

// One read(2) of seq_file gives a page, more only when a single record is longer.
inline constexpr size_t kReadBytes = 32 * 1024;

class ProcFile {
 public:
  ProcFile(pid_t pid, const char* name);
  ~ProcFile();
  ProcFile(const ProcFile&) = delete;
  ProcFile& operator=(const ProcFile&) = delete;

  // Up to `size` bytes; 0 at the end. seq_file hands out about a page per call whatever `size` is.
  size_t read(char* buffer, size_t size);
  int fd() const noexcept { return fd_; }
  std::string path() const { return path_; }

 private:
  char path_[64];
  int fd_;
};

// True as long as /proc has an entry for it: zombies too.
bool processExists(pid_t pid);

// The whole of a small file (status, stat, statm) in `text`, whose memory is used again.
void readProcFile(pid_t pid, const char* name, std::string& text);

}  // namespace memdrift
