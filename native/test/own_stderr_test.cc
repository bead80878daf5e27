// SPDX-License-Identifier: MIT
#include "tracker/own_stderr.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <string>

namespace memdrift {

namespace {

// Puts a descriptor in the place of standard error, and the old one back at the end.
class AsStderr {
 public:
  explicit AsStderr(int fd) : before_(dup(STDERR_FILENO)) { dup2(fd, STDERR_FILENO); }
  ~AsStderr() {
    dup2(before_, STDERR_FILENO);
    close(before_);
  }

 private:
  int before_;
};

void fill(int fd) {
  const std::string bytes(4096, 'f');
  const int flags = fcntl(fd, F_GETFL);
  fcntl(fd, F_SETFL, flags | O_NONBLOCK);
  while (write(fd, bytes.data(), bytes.size()) > 0) continue;
  fcntl(fd, F_SETFL, flags);
}

class OwnStderrOf : public testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ASSERT_EQ(GetParam() ? socketpair(AF_UNIX, SOCK_STREAM, 0, ends_.data()) : pipe(ends_.data()),
              0);
  }
  void TearDown() override {
    close(ends_[1]);
    if (is_read_) close(ends_[0]);
  }

  std::array<int, 2> ends_ = {};
  bool is_read_ = true;
};

}  // namespace

TEST_P(OwnStderrOf, WritesALineToTheFileOfTheStart) {
  const AsStderr place(ends_[1]);
  EXPECT_TRUE(OwnStderr().write("a line\n"));
  char text[16];
  EXPECT_EQ(read(ends_[0], text, sizeof text), 7);
}

TEST_P(OwnStderrOf, WritesNothingWhereTheWriteWouldWait) {
  const AsStderr place(ends_[1]);
  const OwnStderr own;
  fill(ends_[1]);
  EXPECT_FALSE(own.write("a line\n"));
}

TEST_P(OwnStderrOf, WritesNothingWithoutAReader) {
  const AsStderr place(ends_[1]);
  const OwnStderr own;
  close(ends_[0]);
  is_read_ = false;
  // No SIGPIPE, which would end the program here.
  EXPECT_FALSE(own.write("a line\n"));
}

TEST_P(OwnStderrOf, WritesNothingToAnotherFile) {
  const OwnStderr own;
  const AsStderr place(ends_[1]);
  EXPECT_FALSE(own.write("a line\n"));
}

INSTANTIATE_TEST_SUITE_P(Pipe, OwnStderrOf, testing::Bool());

}  // namespace memdrift
