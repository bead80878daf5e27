// SPDX-License-Identifier: MIT
#include "proc/counters.h"

#include <gtest/gtest.h>
#include <sys/prctl.h>

#include "errors.h"
#include "test/child.h"

namespace memdrift {

TEST(Counters, GivesANameAsTheProcessSetIt) {
  for (const char* name : {"a b", "a) R 1 (", "new\nline", "back\\slash", ")", ""}) {
    const StoppedChild child([=] { prctl(PR_SET_NAME, name); });
    ASSERT_TRUE(child.stopped());
    const Counters counters = readCounters(child.pid());
    EXPECT_EQ(counters.name, name);
    EXPECT_EQ(counters.pid, child.pid());
    EXPECT_EQ(counters.parent_pid, getpid());
    EXPECT_EQ(counters.state, 'T');
    std::string buffer;
    EXPECT_EQ(readStatus(child.pid(), buffer).name, name);
  }
}

TEST(Counters, AddsUp) {
  const Counters counters = readCounters(getpid());
  EXPECT_EQ(counters.shared_bytes, counters.rss_file_bytes + counters.rss_shmem_bytes);
  EXPECT_GE(counters.start_time_ticks, 1);
  EXPECT_EQ(counters.uid, getuid());
  EXPECT_TRUE(counters.signals_caught.has_value());
}

TEST(Counters, ReusesTheBufferOfStatus) {
  std::string buffer(1 << 16, 'x');
  EXPECT_EQ(readStatus(getpid(), buffer).pid, getpid());
  EXPECT_LT(buffer.size(), 4096u);
}

}  // namespace memdrift
