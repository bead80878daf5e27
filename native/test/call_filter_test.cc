// SPDX-License-Identifier: MIT
#include "tracker/call_filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

namespace memdrift {

namespace {

using Filter = std::vector<sock_filter>;

constexpr sock_filter load(size_t offset) {
  return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset));
}
constexpr sock_filter kNumber = load(offsetof(seccomp_data, nr));
constexpr sock_filter kArgument = load(offsetof(seccomp_data, args));
constexpr sock_filter ifEqual(uint32_t value, uint8_t yes, uint8_t no) {
  return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no);
}
constexpr sock_filter verdict(uint32_t action) { return BPF_STMT(BPF_RET | BPF_K, action); }
constexpr sock_filter kAllow = verdict(SECCOMP_RET_ALLOW);
constexpr sock_filter kKill = verdict(SECCOMP_RET_KILL_PROCESS);

Filter forCall(uint32_t number, uint32_t action) {
  return {kNumber, ifEqual(number, 0, 1), verdict(action), kAllow};
}

TEST(CallFilterTest, FindsEveryActionThatMayEndTheProgram) {
  for (const uint32_t action :
       {SECCOMP_RET_KILL_PROCESS, SECCOMP_RET_KILL_THREAD, uint32_t{SECCOMP_RET_TRAP},
        uint32_t{SECCOMP_RET_TRACE}, uint32_t{SECCOMP_RET_USER_NOTIF}})
    EXPECT_TRUE(mayPunishTracker(forCall(SYS_gettid, action))) << action;
}

TEST(CallFilterTest, PassesFiltersThatOnlyRefuse) {
  EXPECT_FALSE(mayPunishTracker(forCall(SYS_gettid, SECCOMP_RET_ERRNO | 1)));
  EXPECT_FALSE(mayPunishTracker(forCall(SYS_gettid, SECCOMP_RET_LOG)));
}

TEST(CallFilterTest, PassesFiltersOfOtherCalls) {
  EXPECT_FALSE(mayPunishTracker(forCall(SYS_reboot, SECCOMP_RET_KILL_PROCESS)));
}

// As libseccomp begins each filter.
TEST(CallFilterTest, KnowsTheArchitectureAndTheHighestNumber) {
  const Filter filter = {load(offsetof(seccomp_data, arch)),
                         ifEqual(AUDIT_ARCH_X86_64, 0, 2),
                         kNumber,
                         BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, 0x40000000, 0, 1),
                         kKill,
                         kAllow};
  EXPECT_FALSE(mayPunishTracker(filter));
}

TEST(CallFilterTest, TakesArgumentsForUnknown) {
  const Filter filter = {kNumber, ifEqual(SYS_mmap, 0, 3), kArgument, ifEqual(12345, 0, 1), kKill,
                         kAllow};
  EXPECT_TRUE(mayPunishTracker(filter));
}

TEST(CallFilterTest, FindsALastInstructionThatIsMissing) {
  EXPECT_TRUE(mayPunishTracker(Filter{kNumber}));
  EXPECT_TRUE(mayPunishTracker(Filter{kNumber, BPF_STMT(BPF_JMP | BPF_JA, 1000000)}));
}

// Returns true when a child under the filter dies of gettid().
bool diesOf(Filter& filter) {
  const pid_t pid = fork();
  if (pid == 0) {
    const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0) _exit(2);
    syscall(SYS_gettid);
    _exit(0);
  }
  int status = 0;
  waitpid(pid, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
  return WIFSIGNALED(status);
}

TEST(CallFilterTest, AgreesWithTheKernel) {
  const uint32_t call = SYS_gettid;
  Filter filters[] = {
      forCall(call, SECCOMP_RET_KILL_PROCESS),
      forCall(SYS_reboot, SECCOMP_RET_KILL_PROCESS),
      {kNumber, BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, call - 1, 0, 2),
       BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, call + 1, 1, 0), kKill, kAllow},
      {kNumber, BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 0x40000000, 0, 1), kKill, kAllow},
      {kNumber, BPF_STMT(BPF_ST, 3), BPF_STMT(BPF_MISC | BPF_TAX, 0), ifEqual(call, 0, 1), kKill,
       kAllow},
  };
  for (Filter& filter : filters) EXPECT_EQ(mayPunishTracker(filter), diesOf(filter));
}

TEST(CallFilterTest, ReadsTheProgramsOwnPointer) {
  Filter filter = forCall(SYS_gettid, SECCOMP_RET_KILL_PROCESS);
  const sock_fprog program = {static_cast<unsigned short>(filter.size()), filter.data()};
  EXPECT_TRUE(punishesTracker(SECCOMP_MODE_FILTER, &program));
  EXPECT_TRUE(punishesTracker(SECCOMP_MODE_STRICT, nullptr));
}

TEST(CallFilterTest, PassesPointersThatTheKernelRefuses) {
  EXPECT_FALSE(punishesTracker(SECCOMP_MODE_FILTER, nullptr));
  EXPECT_FALSE(punishesTracker(SECCOMP_MODE_FILTER, reinterpret_cast<const void*>(8)));
  const sock_fprog nowhere = {4, reinterpret_cast<sock_filter*>(8)};
  EXPECT_FALSE(punishesTracker(SECCOMP_MODE_FILTER, &nowhere));
  const sock_fprog none = {0, nullptr};
  EXPECT_FALSE(punishesTracker(SECCOMP_MODE_FILTER, &none));
}

}  // namespace

}  // namespace memdrift
