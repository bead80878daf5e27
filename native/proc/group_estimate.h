// SPDX-License-Identifier: MIT
// Bounds PSS, USS and footprint of a group of processes between two reads of smaps. Pure arithmetic
// on its arguments, so that a test can stand for the kernel. docs/bounds.md gives the reason for
// each bound.
#pragma once

#include <sys/types.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "proc/system_counters.h"

namespace memdrift {

// Parts of resident memory; indexes of the arrays below.
enum MemoryPart : size_t { kAnonPart, kFilePart, kShmemPart, kMemoryParts };
using MemoryParts = std::array<double, kMemoryParts>;

struct Bounds {
  double low = 0, value = 0, high = 0;
};

// One process at one look; bytes.
struct MemberLook {
  uint64_t id = 0;  // of the process, never used again
  pid_t pid = 0, parent_pid = 0;
  MemoryParts rss{};
  double swap = 0;
  double fault_bytes = NAN;  // a page for each fault of its life
  double peak_rss = 0;       // VmHWM: of its life since it last ran another program
  double total() const { return rss[kAnonPart] + rss[kFilePart] + rss[kShmemPart]; }
};

// The group at one look. A process whose smaps the kernel hides is a member that is never read.
struct GroupLook {
  double at_ms = 0;
  std::vector<MemberLook> members;
  SystemLook system;
  double segment_bytes = 0;   // resident pages of the known files of shared memory, mapped or not
  double nameless_bytes = 0;  // most that unlinked files can have, which may still be mapped
  uint64_t early_ends = 0;    // lower bound of the group's processes that ended unseen
  std::optional<uint64_t> unseen_pids;  // pids of the system that no look saw
};

// A mapped part of a file.
struct FileExtent {
  uint64_t device, inode, start, end;
  bool is_shared_memory = false;
};

// One read of smaps.
struct MemberRead {
  double rss = 0, anon = 0, uss = 0;
  MemoryParts pss{};
  double segment_pss = 0;  // of the known files of shared memory
  double closed_pss = 0;   // of shared memory that only descendants of its maker can map
  std::optional<std::vector<FileExtent>> files;  // all that it maps, where that was read
};

struct GroupBounds {
  Bounds pss, uss, footprint;
  std::array<Bounds, kMemoryParts> pss_parts;
  // The highest possible values since the look before.
  double pss_between = 0, footprint_between = 0;
  // Start of the pass that the bounds are based on; NaN before the first.
  double read_at_ms = NAN;
};

struct GroupRules {
  double anon_pages_per_fault = 1, file_pages_per_fault = 16;
  double pages_of_huge_page = 512;  // which one fault can add as well
  double counter_noise_bytes = 0;   // by which a counter of a process may be off
  // No process outside the group has forked from it, or it from one outside.
  bool is_closed = false;
};

class GroupEstimate {
 public:
  explicit GroupEstimate(const GroupRules& rules) : rules_(rules) {}
  // Pointers lead into the last look.
  GroupEstimate(const GroupEstimate&) = delete;
  GroupEstimate(GroupEstimate&&) = default;

  // Takes a look, which has all live members.
  void look(GroupLook look);
  // Begins a pass. A pass reads members one after another, with looks between them; at least one
  // look must follow the last read before the pass ends. The bounds are based on the last pass that
  // ended.
  void beginPass();
  void read(uint64_t id, const MemberRead& read);
  void endPass();

  const GroupLook& lastLook() const { return now_; }
  GroupBounds bounds() const;
  // Returns the bounds of one member, which are unknown when it is not in the last look.
  Bounds boundsOf(uint64_t id) const;

 private:
  struct Member {
    MemberLook start;  // the look before the pass
    MemberRead read;
    MemberLook after;  // the first look after its read
    bool is_read = false, is_settled = false, has_ended = false;
  };
  struct Pass {
    double at_ms = NAN;
    SystemLook system;
    uint64_t early_ends = 0;
    std::optional<uint64_t> unseen_pids;
    std::unordered_map<uint64_t, Member> members;
    std::unordered_set<uint64_t> born;  // during the pass
    // Possible error of shares that were read too low, since sharers left or came during the pass.
    double passing_bytes = 0;
    // All that the members mapped, resident or not, each part once: of files, and with shared
    // memory.
    double file_bytes = NAN, mapped_bytes = NAN;
    bool is_doubtful = false;  // a process may have shared memory meanwhile that no look saw
  };
  struct Trace {
    pid_t first_parent = 0;
    double rss = 0, anon = 0, file = 0;
    double peak_rss = 0, fault_bytes = NAN;
    double most_rss = 0;  // of all its life
    // The most that it can have had since the look before, beyond its memory now: of RSS, and of
    // RSS without shared memory.
    double unseen = 0, unseen_own = 0;
    bool has_swapped = false;
  };
  // Sums of the members' known changes since the pass; see sum().
  struct Sums;

  // Limits that the system's counters give.
  struct Caps {
    double mapped, shmem, other_shmem;
    bool are_of_now = false;
  };
  struct Whole {
    Bounds anon, file, shmem, known;  // `known`: files of shared memory, mapped or not
  };

  Trace traceOf(const MemberLook& look) const;
  void followPass();
  double mostShared(const MemberLook& look) const;
  bool canHaveSwapped(const MemberLook& look) const;
  const Member* baseOf(uint64_t id) const;
  bool isCovered(const MemberLook& look) const;
  double inheritable(const MemberLook& look) const;
  double mostMade(const MemberLook& look, double rss) const;
  double takenOf(const MemberLook& look, const Member* base, double rss) const;
  double faultsSince(const MemberLook& look, const Member* base) const;
  void addAnon(const MemberLook& look, const Member* base, Sums& sums) const;
  void addFile(const MemberLook& look, const Member* base, Sums& sums) const;
  void addShmem(const MemberLook& look, const Member* base, Sums& sums) const;
  void addUss(const MemberLook& look, const Member* base, Sums& sums) const;
  Sums sum() const;
  double mostHuge() const;
  double anonHigh(const Sums& sums) const;
  Bounds anonBounds(const Sums& sums) const;
  Bounds mappedBounds(const Sums& sums, MemoryPart part, const Caps& caps) const;
  Bounds otherShmemBounds(const Sums& sums, const Caps& caps) const;
  double oldMost(MemoryPart part) const;
  double lostOf(double open_bytes, const Sums& sums) const;
  Caps capsNow() const;
  Caps capsBetween() const;
  Whole wholeOf(const Sums& sums, const Caps& caps) const;
  double departedBytes() const;
  double outsideFaults(double group_faults) const;

  const GroupRules rules_;
  GroupLook now_;
  SystemLook system_before_;
  Caps caps_before_{};
  bool has_looked_ = false;
  bool have_ended_ = false;  // members, since the look before
  std::unordered_map<pid_t, const MemberLook*> by_pid_;
  std::unordered_map<uint64_t, const MemberLook*> by_id_;
  std::unordered_set<pid_t> forked_;  // have a child that was born after the pass
  std::unordered_map<uint64_t, Trace> traces_;
  double high_before_ = 0, footprint_before_ = 0, huge_between_ = 0;
  double huge_bytes_ = INFINITY;  // huge pages that the group can have got since the pass
  Pass base_;
  std::optional<Pass> pass_;
};

}  // namespace memdrift
