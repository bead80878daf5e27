// SPDX-License-Identifier: MIT
#include "proc/held_files.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "errors.h"
#include "proc/read_file.h"

namespace memdrift {

TEST(HeldFiles, ListsDevicesOfMemoryAndIdsOfOtherMounts) {
  const MountList mounts = parseMounts(
      "22 1 254:0 / / rw,relatime - ext4 /dev/root rw\n"
      "36 22 0:27 / /dev/shm rw shared:3 - tmpfs tmpfs rw\n"
      "41 22 0:31 / /mnt/a\\040-\\040tmpfs\\040b rw - nfs4 server:/x rw\n"
      "42 22 0:33 / /dev/hugepages rw - hugetlbfs hugetlbfs rw,pagesize=2M\n"
      "cut off");
  ASSERT_EQ(mounts.memory.size(), 2u);
  EXPECT_EQ(mounts.memory[0].device, makedev(0, 27));
  EXPECT_FALSE(mounts.memory[0].is_hugetlb);
  EXPECT_EQ(mounts.memory[1].device, makedev(0, 33));
  EXPECT_TRUE(mounts.memory[1].is_hugetlb);
  EXPECT_EQ(mounts.other_ids, (std::vector<uint64_t>{22, 41}));
}

TEST(HeldFiles, HasAnOpenMemfdAndNoFileOfADisk) {
  const int memfd = memfd_create("held", MFD_CLOEXEC);
  ASSERT_EQ(write(memfd, "x", 1), 1);
  const HeldFiles held = readHeldFiles(kSelf);
  const auto found = std::ranges::find(held.files, memfd, &HeldFile::descriptor);
  ASSERT_NE(found, held.files.end());
  EXPECT_EQ(found->name, "/memfd:held (deleted)");
  EXPECT_EQ(found->size_bytes, 1u);
  EXPECT_EQ(found->allocated_bytes, static_cast<uint64_t>(getpagesize()));
  EXPECT_EQ(swappedBytesOf("/proc/self/fd/" + std::to_string(memfd)), 0);
  close(memfd);
}

TEST(HeldFiles, SaysThatAProcessThatWasNotWaitedForIsGone) {
  const pid_t child = fork();
  if (child == 0) _exit(0);
  siginfo_t end;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(child), &end, WEXITED | WNOWAIT), 0);
  try {
    readHeldFiles(child);
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ERR_GONE) << error.what();
  }
  waitpid(child, nullptr, 0);
}

TEST(HeldFiles, SaysThatAProcessIsGone) {
  try {
    readHeldFiles(1 << 22);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ERR_GONE);
  }
  EXPECT_TRUE(std::isnan(swappedBytesOf("/proc/self/fd/none")));
}

}  // namespace memdrift
