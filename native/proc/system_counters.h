// SPDX-License-Identifier: MIT
// Counters of /proc/vmstat that bound what the counters of single processes do not show.
#pragma once

#include <cmath>
#include <string_view>

namespace memdrift {

// Bytes, of the whole system; NaN where the kernel does not report it.
struct SystemLook {
  // Huge pages that were faulted in, mapped or collapsed since the system started. A fault adds one
  // page to a process, the few pages around it, or a huge page. khugepaged and MADV_COLLAPSE copy
  // shared pages into a huge page without a fault of the process.
  double huge_bytes = NAN;
  double faulted_huge_bytes = NAN;  // of these, anonymous ones that a fault added
  double fault_bytes = NAN;         // a page for each fault of any process since the system started
  double shmem_bytes = NAN;         // pages of shared memory and tmpfs now, mapped or not
  double swapped_bytes = NAN;       // written to swap since the system started
  double mapped_bytes = NAN;        // pages of files and shared memory that a process maps now
};

// Parses the text of /proc/vmstat.
SystemLook parseVmstat(std::string_view text, double huge_page_bytes);

// Returns whether the setting in brackets, in the text of an `enabled` file, is not off.
bool isEnabled(std::string_view text);

// Possible error of a process's memory counters, in practice the largest. Before Linux 6.17 each
// processor, and before 6.2 each thread, holds back some pages of either sign.
double counterNoiseBytes();

class SystemCounters {
 public:
  SystemCounters();
  ~SystemCounters();
  SystemCounters(const SystemCounters&) = delete;
  SystemCounters& operator=(const SystemCounters&) = delete;

  // Reads the counters by one pread(2), 30 us. Counts of pages include all that processors may hold
  // back.
  SystemLook look() const;

  // Pages that one fault can add to a process, except huge pages: of anonymous memory; and of files
  // and shared memory, where the kernel maps the 64 kB around the page.
  double anonPagesPerFault() const { return anon_pages_; }
  double filePagesPerFault() const { return file_pages_; }
  double pagesOfHugePage() const;

 private:
  int fd_;
  double huge_page_bytes_;
  double anon_pages_, file_pages_;
};

}  // namespace memdrift
