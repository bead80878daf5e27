// SPDX-License-Identifier: MIT
#include "experiment/peer.h"

#include <sys/socket.h>

#include <string>

#include "errors.h"

namespace memdrift {

Peer socketPeer(int fd) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
    throw Error::fromErrno("getsockopt(SO_PEERCRED)", "descriptor " + std::to_string(fd));
  return {credentials.pid, credentials.uid};
}

}  // namespace memdrift
