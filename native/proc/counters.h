// SPDX-License-Identifier: MIT
// The counters that the kernel keeps for a process anyway: /proc/PID/status (10 us whatever the
// size of the process), stat and statm. Readable for other users' processes too.
#pragma once

#include <sys/types.h>

#include <cmath>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace memdrift {

// X(name in /proc/PID/status, C++ name, JavaScript name): what status prints in kB. VmPMD was
// printed by 4.0 to 4.14 only; RssAnon, RssFile and RssShmem since 4.5, HugetlbPages since 4.4.
#define MEMDRIFT_STATUS_FIELDS(X)                \
  X(VmPeak, peak_vm_size_bytes, peakVmSizeBytes) \
  X(VmSize, vm_size_bytes, vmSizeBytes)          \
  X(VmLck, locked_bytes, lockedBytes)            \
  X(VmPin, pinned_bytes, pinnedBytes)            \
  X(VmHWM, peak_rss_bytes, peakRssBytes)         \
  X(VmRSS, rss_bytes, rssBytes)                  \
  X(RssAnon, rss_anon_bytes, rssAnonBytes)       \
  X(RssFile, rss_file_bytes, rssFileBytes)       \
  X(RssShmem, rss_shmem_bytes, rssShmemBytes)    \
  X(VmData, data_bytes, dataBytes)               \
  X(VmStk, stack_bytes, stackBytes)              \
  X(VmExe, executable_bytes, executableBytes)    \
  X(VmLib, library_bytes, libraryBytes)          \
  X(VmPTE, page_table_bytes, pageTableBytes)     \
  X(VmPMD, pmd_table_bytes, pmdTableBytes)       \
  X(VmSwap, swap_bytes, swapBytes)               \
  X(HugetlbPages, hugetlb_bytes, hugetlbBytes)

// NaN where the kernel does not say: kernel threads and zombies have no memory lines at all, and
// older kernels lack some.
struct Counters {
  pid_t pid = 0;
  std::string name;  // as the process set it: unescaped
  char state = '?';  // the kernel's letter: R S D Z T t X I …
  pid_t parent_pid = 0;
  double uid = NAN;            // real user id
  double effective_uid = NAN;  // effective user id
  double threads = NAN;
  std::optional<uint64_t> signals_caught;  // bit n-1: signal n has a handler
#define MEMDRIFT_DECLARE(kernel, name, js) double name = NAN;
  MEMDRIFT_STATUS_FIELDS(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
  // RssFile + RssShmem, what tools call SHR: pages that files or shared memory back, mapped by one
  // process or by many. From statm where status does not have it.
  double shared_bytes = NAN;
  double start_time_ticks = NAN;  // since boot; with the pid it names a process for good
  double user_ticks = NAN;
  double system_ticks = NAN;
};

// What /proc/PID/stat says, as far as anybody here asks.
struct StatLine {
  pid_t pid = 0, parent_pid = 0, process_group = 0, session = 0;
  std::string name;  // raw
  char state = '?';
  // Of children that were waited for, and of theirs: faults and CPU ticks. They rise when one is.
  uint64_t ended_children_work = 0;
  // Minor and major faults of all its threads, ended ones included. Copying a page on write costs
  // one fault; a new huge page costs one too.
  uint64_t faults = 0;
  uint64_t user_ticks = 0, system_ticks = 0, threads = 0, start_time_ticks = 0;
  // On kernels since 6.2 without what each CPU has not yet added: some 100 kB per CPU too low.
  uint64_t rss_pages = 0;
};
StatLine parseStatLine(std::string_view text);

// The three texts by themselves; each fills what it has into `counters`. ERR_MALFORMED names the
// line.
void parseStatus(std::string_view text, Counters& counters);
void parseStat(std::string_view text, Counters& counters);

struct Statm {
  double vm_size_bytes, rss_bytes, shared_bytes, text_bytes, library_bytes, data_bytes, dirty_bytes;
};
Statm parseStatm(std::string_view text, uint64_t page_size_bytes);

// status only: what a sampler needs at every tick. `buffer` is used again from call to call.
Counters readStatus(pid_t pid, std::string& buffer);

// status, stat and statm; three reads, so not of one instant. Any thread.
Counters readCounters(pid_t pid);

}  // namespace memdrift
