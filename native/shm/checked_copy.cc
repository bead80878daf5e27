// SPDX-License-Identifier: MIT
#include "shm/checked_copy.h"

#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace memdrift {

bool copyChecked(void* to, const void* from, size_t bytes) {
  auto* target = static_cast<char*>(to);
  auto* source = static_cast<char*>(const_cast<void*>(from));
  while (bytes > 0) {
    const iovec local{target, bytes};
    const iovec remote{source, bytes};
    // The kernel reads through the page tables and reports EFAULT where a load would be SIGSEGV.
    const ssize_t copied = process_vm_readv(getpid(), &local, 1, &remote, 1, 0);
    if (copied < 0 && errno == EINTR) continue;
    if (copied <= 0) return false;
    target += copied;
    source += copied;
    bytes -= static_cast<size_t>(copied);
  }
  return true;
}

bool canCopyChecked() {
  const char from = 1;
  char to = 0;
  return copyChecked(&to, &from, 1) && to == from;
}

}  // namespace memdrift
