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

using SmapsRow = std::array<double, kSmapsFieldCount>;

struct SmapsTable {
  MappingTable mappings;
  // The numbers of each mapping by SmapsField, bytes; NaN where the text does not have the field.
  RowList<SmapsRow> values;
  std::array<bool, kSmapsFieldCount> reported = {};  // the text has the field somewhere

  // What a newer or patched kernel prints beside: kB become bytes, other text becomes NaN.
  struct UnknownField {
    std::string name;
    std::vector<double> values;  // one per mapping
  };
  std::vector<UnknownField> unknown_fields;

  size_t size() const { return mappings.size(); }
  double value(size_t i, SmapsField field) const { return values[i][static_cast<size_t>(field)]; }
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
  // A line that is due next, as the mapping before had it. The kernel prints the same fields in the
  // same widths for every mapping, and most with the same number (0, the page size), so that nearly
  // all lines are one comparison, and most others one conversion of eight columns.
  struct Expected {
    std::array<char, 28> text;  // "Rss:            " "       4" " kB\n", or "       0\n"
    bool is_padded;             // the line has that form; else nothing is expected
    bool has_unit;
    size_t field;  // index of SmapsRow
    double value;
  };

  const char* takeKnown(const char* at, const char* end);
  const char* takeExpected(const char* at, const char* end);
  const char* takeRepeated(const char* at, const char* end);
  static bool takeChanged(const char* at, Expected& expected);
  void addLine(std::string_view line);
  bool addRow(std::string_view line);
  void addField(std::string_view line);
  void addVmFlags(std::string_view line);
  void beginRow();
  void addUnknown(std::string_view name, double value);
  void expectLike(std::string_view line, size_t field);

  SmapsTable table_;
  MappingParser mappings_;
  std::string carry_;  // a line of which only the beginning has come
  size_t line_number_ = 0;
  std::vector<Expected> expected_;  // as the first mapping had them
  size_t next_ = 0;                 // what is due, in expected_

  // The last two different lines of flags, with their newline: mappings often take turns.
  struct RecentFlags {
    std::string text;
    uint32_t id;
  };
  RecentFlags recent_flags_[2];
  unsigned oldest_flags_ = 0;
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
