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
#include "proc/string_table.h"

namespace memdrift {

// Columns, one entry per mapping, in the kernel's order (by address). Addresses and offsets are
// multiples of the page size, so they are exact as doubles up to 2^64: vsyscall too.
struct MappingTable {
  std::vector<double> start_address, end_address, offset_bytes;
  std::vector<uint32_t> device_major, device_minor;
  std::vector<uint64_t> inode;
  // Numbers of `strings`. A name is unescaped and without " (deleted)": a file whose own name ends
  // so looks deleted, since the kernel's text does not tell the two apart.
  std::vector<uint32_t> permissions, name;
  std::vector<uint32_t> deleted;  // 1 when the file has no name any more
  StringTable strings;

  size_t size() const { return start_address.size(); }
  const std::string& nameOf(size_t i) const { return strings.strings()[name[i]]; }
  const std::string& permissionsOf(size_t i) const { return strings.strings()[permissions[i]]; }
};

// True when `line` begins as a mapping does, with a hexadecimal number and "-": no field of smaps
// does.
bool isMappingLine(std::string_view line);

// Adds the mapping of `line` (no newline at its end) to `table`; false, and nothing added, when the
// line is not of the kernel's form.
bool addMapping(std::string_view line, MappingTable& table);

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
