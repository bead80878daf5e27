// SPDX-License-Identifier: MIT
// What is resident in each mapping, without the text of smaps: maps + ioctl PAGEMAP_SCAN
// (Linux 6.7), about 4 times cheaper than smaps. No PSS. Where the kernel has no such ioctl, or
// where the ioctl cannot tell what smaps tells, the numbers come from smaps; they are the same
// numbers.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "proc/maps.h"

namespace memdrift {

struct Residency {
  enum class Source { kPagemap, kSmaps };
  Source source = Source::kPagemap;
  std::string reason;  // why smaps was read; "" when it was not
  MappingTable mappings;
  // One entry per mapping, bytes, as smaps counts them: rss = anonymous + file; zero pages, hugetlb
  // pages and pages without a struct page (vvar, device memory) are in none.
  std::vector<double> rss_bytes, anonymous_bytes, file_bytes, swap_bytes;
};

// Throws what readSmaps throws. Not of one instant: the process runs on during the read. Any
// thread.
Residency readResidency(pid_t pid);

}  // namespace memdrift
