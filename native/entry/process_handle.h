// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

namespace memdrift {

// Opens a pidfd of the process `pid`, close-on-exec; -1 where the kernel or a seccomp filter offers
// none. A signal through it reaches this process or fails: the number cannot mean another process.
int openProcess(pid_t pid);

// Sends `signal` to the process of the pidfd `handle`; ERR_GONE once it has ended.
void signalProcess(int handle, int signal);

}  // namespace memdrift
