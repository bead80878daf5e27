// SPDX-License-Identifier: MIT
#include "tracker/own_children.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <vector>

namespace memdrift {

// A child copies this process before it becomes its program: the copy's peak is not the program's.
TEST(OwnChildren, ListsNoCopyOfTheProcessAsAnotherProgram) {
  constexpr size_t kBytes = 32 << 20;
  const std::vector<char> touched(kBytes, 1);
  OwnChildren children(true);
  uint64_t highest = 0;
  size_t seen = 0;
  for (int i = 0; i < 300; i++) {
    const pid_t child = fork();
    if (child == 0) {
      execl("/bin/true", "true", nullptr);
      _exit(127);
    }
    siginfo_t info = {};
    do {
      for (const OwnChild& one : children.look(0)) {
        if (one.fixed.pid == 0 || one.fixed.is_node != 0) continue;
        highest = std::max(highest, one.fixed.peak_rss_bytes);
        seen++;
      }
      info.si_pid = 0;
      waitid(P_PID, static_cast<id_t>(child), &info, WEXITED | WNOHANG | WNOWAIT);
    } while (info.si_pid == 0);
    waitpid(child, nullptr, 0);
  }
  EXPECT_GT(seen, 0U);
  EXPECT_LT(highest, kBytes);
  EXPECT_EQ(touched.back(), 1);
}

}  // namespace memdrift
