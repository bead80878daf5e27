// SPDX-License-Identifier: MIT
#pragma once

#include <sys/types.h>

namespace memdrift {

struct Peer {
  pid_t pid;
  uid_t uid;
};

// Who connected the Unix socket `fd`, as the kernel recorded it at connect().
Peer socketPeer(int fd);

}  // namespace memdrift
