// SPDX-License-Identifier: MIT
#include "proc/tree_scan.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>

namespace memdrift {
namespace {

// A child that does as it is told through a pipe, one letter at a time, and answers with a pid.
class Parent {
 public:
  Parent() {
    if (pipe(orders_) != 0 || pipe(answers_) != 0) abort();
    pid_ = fork();
    if (pid_ == 0) obey();
  }
  ~Parent() {
    for (const pid_t pid : made_) kill(pid, SIGKILL);
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    for (const int fd : {orders_[0], orders_[1], answers_[0], answers_[1]}) close(fd);
  }
  pid_t pid() const { return pid_; }

  // c: makes a child; o: a child whose parent ends at once, in a session of its own.
  pid_t ask(char order) {
    pid_t made = -1;
    if (write(orders_[1], &order, 1) != 1 || read(answers_[0], &made, sizeof made) != sizeof made)
      abort();
    made_.push_back(made);
    return made;
  }

 private:
  [[noreturn]] void obey() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    char order;
    while (read(orders_[0], &order, 1) == 1) {
      const bool orphan = order == 'o';
      const pid_t middle = orphan ? fork() : 0;
      if (middle > 0) {
        waitpid(middle, nullptr, 0);
        continue;
      }
      if (orphan) setsid();
      const pid_t parent = getpid();
      const pid_t child = fork();
      if (child == 0) answerAndStay(orphan ? parent : 0);
      if (orphan) _exit(0);
    }
    _exit(0);
  }

  // `parent`: answers once this process was ended and reaped; 0: at once.
  [[noreturn]] void answerAndStay(pid_t parent) {
    while (parent != 0 && kill(parent, 0) == 0) usleep(1000);
    const pid_t self = getpid();
    if (write(answers_[1], &self, sizeof self) != sizeof self) _exit(1);
    while (true) pause();
  }

  int orders_[2], answers_[2];
  pid_t pid_;
  std::vector<pid_t> made_;
};

std::vector<pid_t> pidsOf(const std::vector<StatLine>& lines) {
  std::vector<pid_t> pids;
  for (const StatLine& line : lines) pids.push_back(line.pid);
  return pids;
}

using Pids = std::vector<pid_t>;

TEST(TreeScan, FindsWhatIsThereAndWhatIsMadeLaterOnce) {
  Parent root;
  const pid_t before = root.ask('c');
  TreeScan scan("");
  scan.addRoot(root.pid());
  EXPECT_EQ(pidsOf(scan.find({root.pid()})), Pids{before});
  const pid_t after = root.ask('c');
  EXPECT_EQ(pidsOf(scan.find({root.pid(), before})), Pids{after});
  EXPECT_EQ(pidsOf(scan.find({root.pid(), before, after})), Pids{});
}

TEST(TreeScan, LeavesOthersAlone) {
  Parent root, other;
  TreeScan scan("");
  scan.addRoot(root.pid());
  other.ask('c');
  EXPECT_EQ(pidsOf(scan.find({root.pid()})), Pids{});
}

TEST(TreeScan, ARootThatIsAddedLaterBringsItsChildren) {
  Parent first, second;
  const pid_t child = second.ask('c');
  TreeScan scan("");
  scan.addRoot(first.pid());
  EXPECT_EQ(pidsOf(scan.find({first.pid()})), Pids{});
  scan.addRoot(second.pid());
  EXPECT_EQ(pidsOf(scan.find({first.pid(), second.pid()})), Pids{child});
}

TEST(TreeScan, KnowsAnOrphanWhoseParentNobodySawByItsMark) {
  Parent root;
  const pid_t orphan = root.ask('o');
  TreeScan without(""), other("MEMDRIFT_TEST_MARK=no");
  for (TreeScan* scan : {&without, &other}) {
    scan->addRoot(root.pid());
    EXPECT_EQ(pidsOf(scan->find({root.pid()})), Pids{});
  }
  // /proc shows the environment as the program was given it, so a variable of ours must do.
  std::string mark = "PATH=";
  mark += getenv("PATH");
  TreeScan marked(mark);
  marked.addRoot(root.pid());
  const Pids found = pidsOf(marked.find({root.pid()}));
  EXPECT_NE(std::find(found.begin(), found.end(), orphan), found.end());
}

TEST(TreeScan, CountsPidsThatWereGivenOutAndNeverSeen) {
  Parent root;
  TreeScan scan("");
  scan.addRoot(root.pid());
  scan.find({root.pid()});
  EXPECT_EQ(scan.unseenPids(), 0u);
  for (int i = 0; i < 3; i++) {
    const pid_t child = fork();
    if (child == 0) _exit(0);
    waitpid(child, nullptr, 0);
  }
  scan.find({root.pid()});
  ASSERT_TRUE(scan.unseenPids().has_value());
  EXPECT_GE(*scan.unseenPids(), 3u);
}

}  // namespace
}  // namespace memdrift
