// SPDX-License-Identifier: MIT
// The line that maps and smaps give each mapping: addresses, permissions, offset, device, inode,
// name.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "proc/read_file.h"
#include "proc/row_list.h"
#include "proc/string_table.h"

namespace memdrift {

// Addresses and offsets are multiples of the page size, so they are exact as doubles up to 2^64:
// the vsyscall page too. Numbers of strings are of the table that the row is in.
struct MappingRow {
  uint64_t start_address, end_address, offset_bytes, inode;
  uint32_t device_major, device_minor;
  uint32_t permissions;
  // Unescaped, without " (deleted)": a file whose own name ends so looks deleted, since the
  // kernel's text does not tell the two apart.
  uint32_t name;
  uint32_t vm_flags;  // "rd wr mr mw me ac"; "" where the text is that of maps
  bool deleted;       // the file has no name any more
};

// One row per mapping, in the kernel's order: by address.
struct MappingTable {
  RowList<MappingRow> rows;
  StringTable strings;

  size_t size() const { return rows.size(); }
  const MappingRow& operator[](size_t i) const { return rows[i]; }
  const std::string& nameOf(size_t i) const { return strings.strings()[rows[i].name]; }
  const std::string& permissionsOf(size_t i) const {
    return strings.strings()[rows[i].permissions];
  }
};

// True when `line` begins as a mapping does, with a hexadecimal number and "-": no field of smaps
// does.
bool isMappingLine(std::string_view line);

// Adds mappings to one table, line by line.
class MappingParser {
 public:
  // Adds the mapping of `line` (no newline at its end) to `table`, the same at every call; false,
  // and nothing added, when the line is not of the kernel's form.
  bool add(std::string_view line, MappingTable& table);

  // The same for the line that `text` begins with, if it is complete and like one of the two before
  // but for the addresses. Returns the size of the line with its newline, or 0 and nothing is
  // added.
  size_t addRepeated(std::string_view text, MappingTable& table);

 private:
  // What stood after the addresses in two lines before: mappings repeat each other, often in turns
  // of two, and then only the addresses need parsing.
  struct Recent {
    std::string text;
    MappingRow row;
  };
  Recent recent_[2];
  unsigned oldest_ = 0;
};

// Cuts text that comes in chunks of any size into lines, in place; only a line that crosses chunks
// is copied.
class LineSplitter {
 public:
  // Calls line(view) for each complete line in the order of the text.
  template <typename Line>
  void feed(const char* data, size_t size, Line&& line) {
    const char* const end = data + size;
    if (!carry_.empty()) {
      const char* newline = static_cast<const char*>(memchr(data, '\n', size));
      carry_.append(data, newline ? newline : end);
      if (!newline) return;
      line(std::string_view(carry_));
      carry_.clear();
      data = newline + 1;
    }
    while (const char* newline =
               static_cast<const char*>(memchr(data, '\n', static_cast<size_t>(end - data)))) {
      line(std::string_view(data, static_cast<size_t>(newline - data)));
      data = newline + 1;
    }
    carry_.assign(data, end);
  }

  // The last line, when the text does not end with a newline.
  template <typename Line>
  void finish(Line&& line) {
    if (!carry_.empty()) line(std::string_view(carry_));
    carry_.clear();
  }

 private:
  std::string carry_;
};

[[noreturn]] void throwMalformedLine(const char* file, size_t line_number, std::string_view line);

// Throws ERR_MALFORMED with the line's number and text.
MappingTable parseMaps(std::string_view text);

// Throws ERR_GONE, ERR_DENIED, ERR_UNSUPPORTED. Empty for zombies and kernel threads. Any thread.
MappingTable readMaps(pid_t pid);
MappingTable readMaps(ProcFile& file);  // an open maps, from where it stands to its end

}  // namespace memdrift
