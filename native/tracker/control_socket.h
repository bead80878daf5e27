// SPDX-License-Identifier: MIT
// The socket by which its user reaches a tracked program.
#pragma once

#include <string>

namespace memdrift {

// Listens at `path`, which only this user can connect to, and returns the descriptor. libuv would
// call unlink() for a path of its own when it closes the socket, whatever the program has forbidden
// since. Throws ERR_SYSTEM.
int listenForControl(const std::string& path);

// Removes the socket's file; any thread. Again without effect.
void removeControlSocket() noexcept;

// Removes the socket's file when the process ends, unless a filter of system calls was installed
// since the process listens: the file then stays until its user's next sweepSockets().
void endControl();

}  // namespace memdrift
