// SPDX-License-Identifier: MIT
// A segment of a name that no other test has, and processes that share it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "errors.h"
#include "shm/segment.h"

namespace memdrift {

inline constexpr uint64_t kSize = 10'000;  // no whole number of pages

class SegmentTest : public testing::Test {
 protected:
  void TearDown() override { ::unlink(path().c_str()); }

  std::string name(const char* suffix = "") const {
    return "segment-test-" + std::to_string(pid_) + suffix;
  }
  std::string path() const { return "/dev/shm/memdrift." + name(); }
  bool exists() const { return access(path().c_str(), F_OK) == 0; }

  std::unique_ptr<Segment> create(std::function<void(Segment&)> prepare = nullptr) const {
    return Segment::create({name(), SegmentKind::kPlain, kSize, std::move(prepare)});
  }
  std::unique_ptr<Segment> open() const { return Segment::open(name(), SegmentKind::kPlain); }

  // For a forked child: creates the segment and keeps it without running a destructor.
  void holdNew() const {
    create([](Segment& made) { made.reserveAll(); }).release();
  }
  void hold() const { open().release(); }

 private:
  // Of the test: children say the same name.
  const pid_t pid_ = getpid();
};

inline std::optional<ErrorCode> codeOf(const std::function<void()>& call) {
  try {
    call();
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

inline void waitFor(pid_t pid) {
  int status = 0;
  ASSERT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << "status " << status;
}

// A child that runs `body` and tells by its exit code whether it threw.
inline pid_t forked(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid != 0) return pid;
  try {
    body();
  } catch (const Error& error) {
    fprintf(stderr, "child: %s\n", error.what());
    _exit(1);
  }
  _exit(0);
}

}  // namespace memdrift
