// SPDX-License-Identifier: MIT
// A kernel with nothing but pages: processes map, share, copy and lose them, and every figure can
// be counted. Sizes are pages; bytes are those of pages of 4096.
#pragma once

#include <array>
#include <cstdint>
#include <random>
#include <vector>

#include "proc/group_estimate.h"

namespace memdrift {

class MemoryModel {
 public:
  static constexpr double kPageBytes = 4096;
  static constexpr size_t kAround = 4;  // pages that a fault on a file maps
  static constexpr size_t kHugePages = 16;

  explicit MemoryModel(uint64_t seed);

  // Something happens, in the group or outside; `is_calm`: only what leaves the group alone.
  void step(bool is_calm);
  size_t random(size_t below) { return below == 0 ? 0 : random_() % below; }

  // Figures that the kernel would report.
  GroupLook look();
  std::optional<MemberRead> read(uint64_t id) const;
  // The truth.
  double pssBytes() const;
  MemoryParts pssParts() const;
  double ussBytes() const;
  double footprintBytes() const;
  // The highest since the last look; NaN when a process ended since, or gave up pages of files.
  double highestPss() const { return has_ended_ ? NAN : highest_pss_; }
  double highestFootprint() const { return has_ended_ ? NAN : highest_footprint_; }

 private:
  // Pages of one file: who maps each, in the group and outside. Tmpfs pages exist unmapped too.
  struct File {
    enum class Kind { kDisk, kSegment, kOther } kind;
    std::vector<uint32_t> inside, outside;
    std::vector<bool> exists;
  };
  struct AnonPage {
    uint32_t holders = 0;  // resident or as a swap entry
    uint32_t mapped = 0;
    bool in_swap = false;
  };
  struct Process {
    uint64_t id;
    pid_t pid, parent_pid;
    std::vector<size_t> anon, swapped;
    std::vector<std::vector<bool>> files;
    double faults = 0, most_rss = 0;
    bool is_inside = true, was_seen = false;
  };

  size_t newPage();
  void dropAnon(Process& process, size_t at);
  void dropSwapped(Process& process, size_t at);
  void dropFilePage(Process& process, size_t file, size_t page);
  void dropAll(Process& process);
  void mapFilePage(Process& process, size_t file, size_t page);
  void countFault(Process& process);
  void countHugeFault(Process& process);
  double rssOf(const Process& process) const;
  double filePagesOf(const Process& process, File::Kind kind) const;
  double mappedPss(File::Kind kind) const;
  double segmentBytes() const;
  MemberLook lookAt(const Process& process) const;
  Process* anyInside();

  void touch(Process& process);
  void touchHuge(Process& process);
  void write(Process& process);
  void unmap(Process& process);
  void fork(size_t parent);
  void exec(Process& process);
  void exit(size_t at);
  void touchFile(Process& process);
  void unmapFile(Process& process);
  void fillSegment();
  void swapOut(Process& process);
  void swapIn(Process& process);
  void collapse(Process& process);
  void actInside();
  void actOutside();
  void note();

  std::mt19937_64 random_;
  std::vector<File> files_;
  std::vector<AnonPage> pages_;
  std::vector<size_t> free_pages_;
  std::vector<Process> processes_;
  uint64_t next_id_ = 1;
  pid_t next_pid_ = 100;
  double at_ms_ = 0, faults_ = 0, huge_pages_ = 0, faulted_huge_pages_ = 0, swapped_out_ = 0;
  uint64_t early_ends_ = 0, unseen_pids_ = 0;
  double highest_pss_ = 0, highest_footprint_ = 0;
  bool has_ended_ = false, swaps_, has_huge_;
};

}  // namespace memdrift
