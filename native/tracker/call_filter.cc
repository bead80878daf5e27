// SPDX-License-Identifier: MIT
#include "tracker/call_filter.h"

#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace memdrift {

namespace {

// All calls that the tracker makes from its start to its end, which follow a filter that allows or
// refuses them.
constexpr uint32_t kOwnCalls[] = {
    SYS_read,
    SYS_write,
    SYS_close,
    SYS_mmap,
    SYS_mprotect,
    SYS_munmap,
    SYS_madvise,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_sigaltstack,
    SYS_ioctl,
    SYS_pread64,
    SYS_pwrite64,
    SYS_accept4,
    SYS_shutdown,
    SYS_getpid,
    SYS_gettid,
    SYS_exit,
    SYS_fstat,
    SYS_getdents64,
    SYS_getrusage,
    SYS_readlink,
    SYS_newfstatat,
    SYS_statx,
    SYS_unlink,
    SYS_lseek,
    SYS_ftruncate,
    SYS_openat,
    SYS_prctl,
    SYS_futex,
    SYS_clock_gettime,
    SYS_nanosleep,
    SYS_clock_nanosleep,
    SYS_sched_getaffinity,
    SYS_tgkill,
    SYS_membarrier,
    SYS_process_vm_readv,
    SYS_clone,
    SYS_set_robust_list,
    SYS_getrlimit,
    SYS_prlimit64,
    435 /* clone3 */,
    SYS_sched_yield,
    334 /* rseq */,
};

// Facts about the accumulator, as bits of a set.
enum Known : uint8_t { kNothing = 1, kNumber = 2, kArchitecture = 4 };

bool isHarmless(uint32_t verdict) {
  const uint32_t action = verdict & SECCOMP_RET_ACTION_FULL;
  return action == SECCOMP_RET_ALLOW || action == SECCOMP_RET_LOG || action == SECCOMP_RET_ERRNO;
}

bool isTrue(uint32_t value, const sock_filter& test) {
  switch (BPF_OP(test.code)) {
    case BPF_JEQ:
      return value == test.k;
    case BPF_JGT:
      return value > test.k;
    case BPF_JGE:
      return value >= test.k;
    default:
      return (value & test.k) != 0;
  }
}

// Follows every path that a call of this number may take. Arguments are unknown: a test of one
// leads both ways. Jumps lead forward only, so that one pass over the filter reaches all paths.
class Paths {
 public:
  Paths(std::span<const sock_filter> filter, uint32_t number)
      : filter_(filter), number_(number), reached_(filter.size() + 1) {
    reached_[0] = kNothing;
  }

  bool areHarmless() {
    for (at_ = 0; at_ < filter_.size(); at_++)
      for (const Known known : {kNothing, kNumber, kArchitecture})
        if ((reached_[at_] & known) && !follow(filter_[at_], known)) return false;
    return reached_[filter_.size()] == 0;
  }

 private:
  bool follow(const sock_filter& one, Known known) {
    switch (BPF_CLASS(one.code)) {
      case BPF_RET:
        return BPF_RVAL(one.code) == BPF_K && isHarmless(one.k);
      case BPF_LD:
        goTo(0, loaded(one));
        return true;
      case BPF_JMP:
        jump(one, known);
        return true;
      case BPF_ALU:
        goTo(0, kNothing);
        return true;
      case BPF_MISC:
        goTo(0, BPF_MISCOP(one.code) == BPF_TXA ? kNothing : known);
        return true;
      default:  // loads and stores that leave the accumulator as it is
        goTo(0, known);
        return true;
    }
  }
  static Known loaded(const sock_filter& one) {
    if (BPF_MODE(one.code) != BPF_ABS) return kNothing;
    if (one.k == offsetof(seccomp_data, nr)) return kNumber;
    return one.k == offsetof(seccomp_data, arch) ? kArchitecture : kNothing;
  }
  void jump(const sock_filter& one, Known known) {
    if (BPF_OP(one.code) == BPF_JA) return goTo(one.k, known);
    const bool is_known = known != kNothing && BPF_SRC(one.code) == BPF_K;
    const bool holds = isTrue(known == kNumber ? number_ : AUDIT_ARCH_X86_64, one);
    if (!is_known || holds) goTo(one.jt, known);
    if (!is_known || !holds) goTo(one.jf, known);
  }
  void goTo(uint32_t skipped, Known known) {
    const size_t left = filter_.size() - at_ - 1;
    reached_[skipped < left ? at_ + 1 + skipped : filter_.size()] |= known;
  }

  std::span<const sock_filter> filter_;
  uint32_t number_;
  size_t at_ = 0;
  std::vector<uint8_t> reached_;  // sets of Known; the last is beyond the end
};

// Copies by the kernel, which refuses what is not mapped. Returns 0 or an error number.
int copyOwn(const void* from, void* to, size_t bytes) {
  const iovec here = {to, bytes};
  const iovec there = {const_cast<void*>(from), bytes};
  const ssize_t copied = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
  if (copied < 0) return errno;
  return copied == static_cast<ssize_t>(bytes) ? 0 : EFAULT;
}

}  // namespace

bool mayPunishTracker(std::span<const sock_filter> filter) {
  for (const uint32_t number : kOwnCalls)
    if (!Paths(filter, number).areHarmless()) return true;
  return false;
}

bool punishesTracker(unsigned long mode, const void* filter) {
  if (mode == SECCOMP_MODE_STRICT) return true;
  sock_fprog program = {};
  int problem = copyOwn(filter, &program, sizeof program);
  // An earlier filter may refuse all copies with this very number.
  char read = 0;
  if (problem == EFAULT && copyOwn("", &read, sizeof read) != 0) return true;
  // The kernel will not read it either: programs ask so whether there are filters.
  if (problem == EFAULT || (problem == 0 && (program.len == 0 || program.len > BPF_MAXINSNS)))
    return false;
  std::vector<sock_filter> code(program.len);
  if (problem == 0) problem = copyOwn(program.filter, code.data(), code.size() * sizeof code[0]);
  if (problem != 0) return problem != EFAULT;
  return mayPunishTracker(code);
}

}  // namespace memdrift
