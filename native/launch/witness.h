// SPDX-License-Identifier: MIT
// A witness is a small process in the launcher's process group, session and cgroup that has
// signals blocked: those that it has pending were sent to more than the launcher, so the program
// had them as well. It is the only sign: siginfo says the same of kill(pid) and of kill(-pgid).
#pragma once

#include <sys/types.h>

#include <vector>

namespace memdrift {

struct Witness {
  pid_t pid;
  // The witness ends with this pipe; if SIGKILL ended this process, it kills `program` first.
  int end;
};

// @throws Error where there is no /bin/sh.
Witness startWitness(pid_t program, const std::vector<int>& blocked);

void endWitness(const Witness& witness);

// Ends this process by `signal`, without a core dump: the program's own is enough. Returns where
// the signal does not end it, as in process 1 of a container.
void endBySignal(int signal);

}  // namespace memdrift
