// SPDX-License-Identifier: MIT
// Counts the huge pages that the system has made or mapped. A fault adds one page to a process, or
// the few around it, except where it adds a huge page; and khugepaged, or MADV_COLLAPSE, copies
// shared pages into a huge page without a fault of the process. These counters bound both.
#pragma once

#include <cmath>
#include <string_view>

namespace memdrift {

class HugeFaults {
 public:
  HugeFaults();
  ~HugeFaults();
  HugeFaults(const HugeFaults&) = delete;
  HugeFaults& operator=(const HugeFaults&) = delete;

  // Bytes of all huge pages that were faulted in, mapped or collapsed since the system started, by
  // any process. One pread(2), 30 us. NaN: this kernel does not report it.
  double readBytes() const;

  // Pages that one fault can add to a process, huge pages excepted: the pages around a page of a
  // file, or the largest folio below a huge page that the settings admit.
  double faultPages() const { return fault_pages_; }

 private:
  int fd_;
  double huge_page_bytes_;
  double fault_pages_;
};

// The counters in the text of /proc/vmstat, in huge pages; NaN where the text has none of them.
double hugePagesIn(std::string_view text);

// Whether one of the settings in the text of an `enabled` file, the one in brackets, is in force.
bool isEnabled(std::string_view text);

}  // namespace memdrift
