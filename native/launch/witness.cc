// SPDX-License-Identifier: MIT
#include "launch/witness.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>

#include "errors.h"

namespace memdrift {

namespace {

// The pipe closes when the launcher ends. A launcher ends a witness by SIGKILL, so the commands
// after `read` run only when the launcher ended first. The last field of its stat says how: 9 is
// SIGKILL, which was meant for the program too, so the witness kills it. After another end, which
// would be a fault of ours, the program continues. Its process id is still its own: until now the
// launcher was there to wait for it.
constexpr const char* kScript =
    "read -r end; read -r stat < /proc/$PPID/stat; "
    "case \"$stat\" in '' | *' 9') kill -KILL \"$1\" ;; esac";

class SpawnSettings {
 public:
  SpawnSettings(int input, const std::vector<int>& blocked) {
    sigset_t mask, all;
    sigemptyset(&mask);
    for (const int signal : blocked) sigaddset(&mask, signal);
    sigfillset(&all);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &mask);
    posix_spawnattr_setsigdefault(&attributes, &all);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, STDIN_FILENO);
    // Held open, they would keep a reader of the program's output from its end.
    for (const int fd : {STDOUT_FILENO, STDERR_FILENO})
      posix_spawn_file_actions_addopen(&actions, fd, "/dev/null", O_WRONLY, 0);
  }
  ~SpawnSettings() {
    posix_spawn_file_actions_destroy(&actions);
    posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;

  posix_spawnattr_t attributes;
  posix_spawn_file_actions_t actions;
};

}  // namespace

Witness startWitness(pid_t program, const std::vector<int>& blocked) {
  int pipe_ends[2];
  if (pipe2(pipe_ends, O_CLOEXEC) != 0) throw Error::fromErrno("pipe", "for a witness");
  const SpawnSettings settings(pipe_ends[0], blocked);
  std::string number = std::to_string(program);
  std::string words[] = {"sh", "-c", kScript, "memdrift-witness", number};
  char* const arguments[] = {words[0].data(), words[1].data(), words[2].data(),
                             words[3].data(), words[4].data(), nullptr};
  // No environment: a watch finds its processes by a variable, and some shells run the script that
  // ENV names.
  char* const environment[] = {nullptr};
  pid_t pid = 0;
  const int failure =
      posix_spawn(&pid, "/bin/sh", &settings.actions, &settings.attributes, arguments, environment);
  close(pipe_ends[0]);
  if (failure != 0) {
    close(pipe_ends[1]);
    throw Error::fromErrno("run", "/bin/sh", failure);
  }
  return {pid, pipe_ends[1]};
}

void endWitness(const Witness& witness) {
  kill(witness.pid, SIGKILL);
  while (waitpid(witness.pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  close(witness.end);
}

void endBySignal(int signal) {
  prctl(PR_SET_DUMPABLE, 0);
  ::signal(signal, SIG_DFL);
  sigset_t mask;
  sigemptyset(&mask);
  sigaddset(&mask, signal);
  pthread_sigmask(SIG_UNBLOCK, &mask, nullptr);
  kill(getpid(), signal);
}

}  // namespace memdrift
