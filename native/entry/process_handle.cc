// SPDX-License-Identifier: MIT
#include "entry/process_handle.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <string>

#include "errors.h"

// Both numbers are the same on all architectures; headers of Linux before 5.3 lack them.
#ifndef SYS_pidfd_send_signal
#define SYS_pidfd_send_signal 424
#endif
#ifndef SYS_pidfd_open
#define SYS_pidfd_open 434
#endif

namespace memdrift {

int openProcess(pid_t pid) {
  const long handle = syscall(SYS_pidfd_open, pid, 0);
  if (handle >= 0) return static_cast<int>(handle);
  // EPERM is how container runtimes refuse calls that they do not know.
  if (errno == ENOSYS || errno == EPERM) return -1;
  throw Error::fromErrno("pidfd_open", "process " + std::to_string(pid));
}

void signalProcess(int handle, int signal) {
  if (syscall(SYS_pidfd_send_signal, handle, signal, nullptr, 0) == 0) return;
  throw Error::fromErrno("pidfd_send_signal", "pidfd " + std::to_string(handle));
}

}  // namespace memdrift
