// SPDX-License-Identifier: MIT
// A witness is a small process in the launcher's process group, session and cgroup that blocks
// signals. A signal that is pending in it was sent to more processes than the launcher, so the
// program had it too. siginfo does not tell: it is the same for kill(pid) and kill(-pgid).
#pragma once

#include <sys/types.h>

#include <vector>

namespace memdrift {

struct Witness {
  pid_t pid;
  // The witness ends with this pipe; if SIGKILL ended this process, it kills `program` first.
  int end;
};

// Starts a witness beside `program`. Throws where /bin/sh is missing.
Witness startWitness(pid_t program, const std::vector<int>& blocked);

void endWitness(const Witness& witness);

// Ends this process by `signal`, without a core dump: the program's own is enough. Returns where
// the signal does not end it, as in process 1 of a container.
void endBySignal(int signal);

}  // namespace memdrift
