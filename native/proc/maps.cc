// SPDX-License-Identifier: MIT
#include "proc/maps.h"

#include "errors.h"
#include "proc/read_file.h"
#include "proc/scan.h"

namespace memdrift {

namespace {

constexpr std::string_view kDeleted = " (deleted)";

// The kernel writes a newline in a name as \012 and nothing else: a backslash is itself.
std::string unescaped(std::string_view text) {
  constexpr std::string_view kNewline = "\\012";
  std::string name;
  for (size_t at; (at = text.find(kNewline)) != text.npos;) {
    name.append(text.substr(0, at)).push_back('\n');
    text.remove_prefix(at + kNewline.size());
  }
  return name.append(text);
}

bool isPermissions(std::string_view text) {
  constexpr std::string_view kLetters = "rwx";
  if (text.size() != 4) return false;
  for (size_t i = 0; i < kLetters.size(); i++)
    if (text[i] != kLetters[i] && text[i] != '-') return false;
  return text[3] == 'p' || text[3] == 's';
}

constexpr uint64_t kNotPageAligned = 4095;  // the smallest page of any Linux

// "r-xp 00000000 fe:00 247026   /usr/bin/cat", what follows the addresses.
bool parseAfterAddresses(std::string_view text, StringTable& strings, MappingRow& row) {
  Scanner scanner(text);
  const std::string_view permissions = scanner.word();
  uint64_t device_major, device_minor;
  const bool form = isPermissions(permissions) && scanner.skip(' ') &&
                    scanner.hexadecimal(row.offset_bytes) && scanner.skip(' ') &&
                    scanner.hexadecimal(device_major) && scanner.skip(':') &&
                    scanner.hexadecimal(device_minor) && scanner.skip(' ') &&
                    scanner.decimal(row.inode) && (scanner.atEnd() || scanner.skip(' '));
  // A double holds offsets and addresses exactly only because their low bits are zero.
  if (!form || device_major > UINT32_MAX || device_minor > UINT32_MAX ||
      (row.offset_bytes & kNotPageAligned) != 0)
    return false;
  scanner.skipSpaces();  // the name is in a column of its own
  std::string_view name = scanner.rest();
  row.deleted = name.ends_with(kDeleted);
  if (row.deleted) name.remove_suffix(kDeleted.size());
  row.device_major = static_cast<uint32_t>(device_major);
  row.device_minor = static_cast<uint32_t>(device_minor);
  row.permissions = strings.idOf(permissions);
  row.name = name.find('\\') == name.npos ? strings.idOf(name) : strings.idOf(unescaped(name));
  row.vm_flags = 0;
  return true;
}

bool parseAddresses(Scanner& scanner, MappingRow& row) {
  if (!scanner.hexadecimal(row.start_address) || !scanner.skip('-') ||
      !scanner.hexadecimal(row.end_address) || !scanner.skip(' '))
    return false;
  return row.start_address <= row.end_address &&
         ((row.start_address | row.end_address) & kNotPageAligned) == 0;
}

}  // namespace

bool isMappingLine(std::string_view line) {
  const size_t digits = line.find_first_not_of("0123456789abcdef");
  return digits != 0 && digits != line.npos && line[digits] == '-';
}

bool MappingParser::add(std::string_view line, MappingTable& table) {
  Scanner scanner(line);
  MappingRow row;
  if (!parseAddresses(scanner, row)) return false;
  const std::string_view rest = scanner.rest();
  if (!parseAfterAddresses(rest, table.strings, row)) return false;
  table.rows.add() = row;
  recent_[oldest_].text = rest;
  recent_[oldest_].text += '\n';
  recent_[oldest_].row = row;
  oldest_ ^= 1;
  return true;
}

size_t MappingParser::addRepeated(std::string_view text, MappingTable& table) {
  Scanner scanner(text);
  MappingRow addresses;
  if (!parseAddresses(scanner, addresses)) return 0;
  const std::string_view rest = scanner.rest();
  for (const Recent& recent : recent_) {
    if (recent.text.empty() || !rest.starts_with(recent.text)) continue;
    MappingRow& row = table.rows.add();
    row = recent.row;
    row.start_address = addresses.start_address;
    row.end_address = addresses.end_address;
    return text.size() - rest.size() + recent.text.size();
  }
  return 0;
}

void throwMalformedLine(const char* file, size_t line_number, std::string_view line) {
  constexpr size_t kShown = 120;
  throw Error(ErrorCode::ERR_MALFORMED, std::string(file) + " line " + std::to_string(line_number) +
                                            " is not of the kernel's form: \"" +
                                            std::string(line.substr(0, kShown)) + "\"");
}

namespace {

class MapsParser {
 public:
  void feed(const char* data, size_t size) {
    splitter_.feed(data, size, [this](std::string_view line) { add(line); });
  }

  MappingTable finish() {
    splitter_.finish([this](std::string_view line) { add(line); });
    return std::move(table_);
  }

 private:
  void add(std::string_view line) {
    line_number_++;
    if (!mappings_.add(line, table_)) throwMalformedLine("maps", line_number_, line);
  }

  LineSplitter splitter_;
  MappingParser mappings_;
  MappingTable table_;
  size_t line_number_ = 0;
};

}  // namespace

MappingTable parseMaps(std::string_view text) {
  MapsParser parser;
  parser.feed(text.data(), text.size());
  return parser.finish();
}

MappingTable readMaps(pid_t pid) {
  try {
    ProcFile file(pid, "maps");
    return readMaps(file);
  } catch (const Error& error) {
    // Some kernels say ESRCH, not nothing, for a process without memory that is still there.
    if (error.errorNumber() != ESRCH || !processExists(pid)) throw;
  }
  return {};
}

MappingTable readMaps(ProcFile& file) {
  MapsParser parser;
  std::vector<char> buffer(kReadBytes);
  while (const size_t got = file.read(buffer.data(), buffer.size()))
    parser.feed(buffer.data(), got);
  return parser.finish();
}

}  // namespace memdrift
