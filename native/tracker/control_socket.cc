// SPDX-License-Identifier: MIT
#include "tracker/control_socket.h"

#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "errors.h"
#include "tracker/own_status.h"

namespace memdrift {

namespace {

constexpr int kMostWaiting = 511;  // as Node's own servers

// Its length fits sun_path.
std::atomic<const char*> g_path{nullptr};
bool g_began_filtered = false;  // as programs in containers
unsigned long g_first_filters = 0;

bool isConfined() {
  if (OwnStatus::wasConfined()) return true;
  // Only where it does not tell a new filter is a file opened.
  if (!g_began_filtered) return prctl(PR_GET_SECCOMP) != 0;
  return OwnStatus::filtersNow() > g_first_filters;
}

void bindAndListen(int socket, const std::string& path) {
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) throw Error::fromErrno("bind", path, ENAMETOOLONG);
  memcpy(address.sun_path, path.data(), path.size());
  // The file gets the socket's mode: changing the umask instead would change other threads' files.
  if (fchmod(socket, S_IRUSR | S_IWUSR) != 0 ||
      bind(socket, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(socket, kMostWaiting) != 0)
    throw Error::fromErrno("listen", path);
}

}  // namespace

int listenForControl(const std::string& path) {
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (listener < 0) throw Error::fromErrno("socket", path);
  try {
    bindAndListen(listener, path);
  } catch (...) {
    close(listener);
    throw;
  }
  g_began_filtered = prctl(PR_GET_SECCOMP) != 0;
  g_first_filters = OwnStatus::filtersNow();
  delete[] g_path.exchange(strcpy(new char[path.size() + 1], path.c_str()));
  return listener;
}

void removeControlSocket() noexcept {
  const char* path = g_path.exchange(nullptr);
  if (path) unlink(path);
  delete[] path;
}

void endControl() {
  if (g_path.load() && !isConfined()) removeControlSocket();
}

}  // namespace memdrift
