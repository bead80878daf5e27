// SPDX-License-Identifier: MIT
// Counters of /proc/vmstat that bound what the counters of single processes do not show.
#pragma once

#include <cmath>
#include <string_view>

namespace memdrift {

// Bytes, of the whole system; NaN where the kernel does not report it.
struct SystemLook {
  // Huge pages that were faulted in, mapped or collapsed since the system started. A fault adds one
  // page to a process, or the few around it, except where it adds a huge page; and khugepaged, or
  // MADV_COLLAPSE, copies shared pages into a huge page without a fault of the process.
  double huge_bytes = NAN;
  double fault_bytes = NAN;    // a page for each fault of any process since the system started
  double shmem_bytes = NAN;    // pages of shared memory and tmpfs now, mapped or not
  double swapped_bytes = NAN;  // written to swap since the system started
  double mapped_bytes = NAN;   // pages of files and shared memory that a process maps now
};

// Parses the text of /proc/vmstat.
SystemLook parseVmstat(std::string_view text, double huge_page_bytes);

// Returns whether the setting in brackets, in the text of an `enabled` file, is not off.
bool isEnabled(std::string_view text);

// By how much a counter of a process's memory may be off: before 6.17 each processor, before 6.2
// each thread keeps some pages to itself, of either sign, which for one process are these at most
// in practice.
double counterNoiseBytes();

class SystemCounters {
 public:
  SystemCounters();
  ~SystemCounters();
  SystemCounters(const SystemCounters&) = delete;
  SystemCounters& operator=(const SystemCounters&) = delete;

  // One pread(2), 30 us. The counts of pages include what the processors may not have added yet.
  SystemLook look() const;

  // Pages that one fault can add to a process, huge pages excepted: of anonymous memory, and of
  // files and shared memory, where the kernel maps the 64 kB around the page.
  double anonPagesPerFault() const { return anon_pages_; }
  double filePagesPerFault() const { return file_pages_; }

 private:
  int fd_;
  double huge_page_bytes_;
  double anon_pages_, file_pages_;
};

}  // namespace memdrift
