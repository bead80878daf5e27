// SPDX-License-Identifier: MIT
// A child process that sets itself up as a test wants it and then only waits: stopped processes do
// not change between two reads.
#pragma once

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace memdrift {

class StoppedChild {
 public:
  explicit StoppedChild(const std::function<void()>& set_up) {
    pid_ = fork();
    if (pid_ == 0) {
      set_up();
      raise(SIGSTOP);
      _exit(0);
    }
    int status = 0;
    waitpid(pid_, &status, WUNTRACED);
    stopped_ = WIFSTOPPED(status);
  }
  ~StoppedChild() {
    kill(pid_, SIGKILL);
    if (stopped_) waitpid(pid_, nullptr, 0);
  }
  StoppedChild(const StoppedChild&) = delete;
  StoppedChild& operator=(const StoppedChild&) = delete;

  bool stopped() const { return stopped_; }  // false: it died in set_up
  pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
  bool stopped_;
};

}  // namespace memdrift
