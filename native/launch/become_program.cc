// SPDX-License-Identifier: MIT
#include "launch/become_program.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <csignal>
#include <cstdlib>
#include <map>
#include <string_view>

namespace memdrift {

namespace {

struct OpenFile {
  int fd;
  std::string target;
  bool writes;
};

std::vector<OpenFile> openFiles() {
  std::vector<OpenFile> found;
  DIR* const folder = opendir("/proc/self/fd");
  if (folder == nullptr) return found;
  while (const dirent* const entry = readdir(folder)) {
    const int fd = std::atoi(entry->d_name);
    if (entry->d_name[0] == '.' || fd == dirfd(folder)) continue;
    char target[256];
    const ssize_t length = readlinkat(dirfd(folder), entry->d_name, target, sizeof target);
    const int flags = fcntl(fd, F_GETFL);
    if (length <= 0 || flags < 0) continue;
    found.push_back(
        {fd, std::string(target, static_cast<size_t>(length)), (flags & O_ACCMODE) != O_RDONLY});
  }
  closedir(folder);
  return found;
}

bool startsWith(std::string_view text, std::string_view start) {
  return text.substr(0, start.size()) == start;
}

// Node's first own descriptor is an event queue and has the lowest free number.
int firstOwnDescriptor(const std::vector<OpenFile>& files) {
  int first = INT_MAX;
  for (const OpenFile& file : files)
    if (file.target == "anon_inode:[eventpoll]") first = std::min(first, file.fd);
  return first;
}

// Clears close-on-exec on the descriptors that this process was given, which Node sets at start.
// Node's own descriptors keep it. Of those beyond its first they are event queues, /dev/null, and
// pipes with both ends in this process; make(1) gives such a pipe, with lower numbers. Where /proc
// is not mounted the program gets the standard streams alone.
void keepGivenDescriptors() {
  for (int fd = 0; fd <= STDERR_FILENO; fd++) fcntl(fd, F_SETFD, 0);
  const std::vector<OpenFile> files = openFiles();
  const int first_own = firstOwnDescriptor(files);
  std::map<std::string, unsigned> ends;
  for (const OpenFile& file : files) ends[file.target] |= file.writes ? 2 : 1;
  for (const OpenFile& file : files) {
    const bool is_pipe = startsWith(file.target, "pipe:");
    const bool is_own = startsWith(file.target, "anon_inode:") || file.target == "/dev/null" ||
                        (is_pipe && ends[file.target] == 3);
    if (file.fd < first_own || !is_own) fcntl(file.fd, F_SETFD, 0);
  }
}

// An exec ends handlers but keeps ignored signals: Node ignores two that the program would
// otherwise have at their defaults.
void resetIgnoredSignals() {
  for (const int signal : {SIGPIPE, SIGXFSZ}) ::signal(signal, SIG_DFL);
}

std::vector<char*> pointersTo(const std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  for (const std::string& text : texts) pointers.push_back(const_cast<char*>(text.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

int becomeProgram(const std::string& file, const std::vector<std::string>& arguments,
                  const std::vector<std::string>& environment) {
  const std::vector<char*> argv = pointersTo(arguments);
  const std::vector<char*> envp = pointersTo(environment);
  keepGivenDescriptors();
  resetIgnoredSignals();
  // Without /proc Node knows its executable by the name alone that it was called by.
  execvpe(file.c_str(), argv.data(), envp.data());
  return errno;
}

}  // namespace memdrift
