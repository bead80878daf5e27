// SPDX-License-Identifier: MIT
// smaps and smaps_rollup: text -> columns. The kernel walks page tables to write the text (about
// 10 ms per mapped GB, 2.6 us per mapping); the parser adds a few per cent to that.
#pragma once

#include <sys/types.h>

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "proc/maps.h"
#include "proc/smaps_fields.h"

namespace memdrift {

const char* smapsFieldName(SmapsField field) noexcept;  // in C++ and reports, e.g. "rss_bytes"

struct SmapsTable {
  MappingTable mappings;
  // One column per field of the list; empty when the text has that field nowhere, else one entry
  // per mapping, NaN where this mapping lacks it. Bytes.
  std::array<std::vector<double>, kSmapsFieldCount> columns;
  std::vector<uint32_t> vm_flags;  // numbers of mappings.strings: "rd wr mr mw me ac"; "" if absent

  // What a newer or patched kernel prints beside: kB become bytes, other text becomes NaN.
  struct UnknownField {
    std::string name;
    std::vector<double> values;
  };
  std::vector<UnknownField> unknown_fields;

  size_t size() const { return mappings.size(); }
  const std::vector<double>& column(SmapsField field) const {
    return columns[static_cast<size_t>(field)];
  }
  // NaN when no mapping reports the field; 0 for a process without mappings.
  double total(SmapsField field) const;
};

// Takes the text in chunks of any size, as read(2) gives them, and parses in place.
class SmapsParser {
 public:
  // Throws ERR_MALFORMED with the line's number and text; the parser is of no use after that.
  void feed(const char* data, size_t size);
  // Once, after the last chunk. A text that ends without a newline is fine.
  SmapsTable finish();

 private:
  void addLine(std::string_view line);
  void addRow(std::string_view line);
  void addField(std::string_view line);
  std::vector<double>& columnOf(std::string_view name);

  LineSplitter splitter_;
  SmapsTable table_;
  size_t line_number_ = 0;
};

// The sums over a process's mappings.
struct Rollup {
  enum class Source { kRollup, kSmaps };
  Source source = Source::kRollup;
  std::array<double, kSmapsFieldCount> values;  // NaN where the source does not say

  double operator[](SmapsField field) const { return values[static_cast<size_t>(field)]; }
  // Private_Clean + Private_Dirty + Private_Hugetlb (where reported), as other tools have it: huge
  // pages of hugetlbfs are in it although they are not in Rss.
  double ussBytes() const;
};

SmapsTable parseSmaps(std::string_view text);
Rollup parseRollup(std::string_view text);
Rollup rollupOf(const SmapsTable& table);

// Throw ERR_GONE (also when the process ends during the read), ERR_DENIED, ERR_UNSUPPORTED. A
// zombie or a kernel thread has no mappings, which is no error. Any thread.
SmapsTable readSmaps(pid_t pid);
// From smaps_rollup; from smaps where the kernel has no rollup (before 4.14) or refuses it for a
// live process. A process without mappings has sums of 0.
Rollup readRollup(pid_t pid);

}  // namespace memdrift
