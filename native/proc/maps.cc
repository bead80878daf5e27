// SPDX-License-Identifier: MIT
#include "proc/maps.h"

#include "errors.h"
#include "proc/read_file.h"
#include "proc/scan.h"

namespace memdrift {

namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr uint64_t kPageMask = 4095;  // the smallest page of any Linux

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

struct MappingLine {
  uint64_t start, end, offset, major, minor, inode;
  std::string_view permissions, name;
};

bool parseMappingLine(std::string_view text, MappingLine& line) {
  Scanner scanner(text);
  const bool form =
      scanner.hexadecimal(line.start) && scanner.skip('-') && scanner.hexadecimal(line.end) &&
      scanner.skip(' ') && isPermissions(line.permissions = scanner.word()) && scanner.skip(' ') &&
      scanner.hexadecimal(line.offset) && scanner.skip(' ') && scanner.hexadecimal(line.major) &&
      scanner.skip(':') && scanner.hexadecimal(line.minor) && scanner.skip(' ') &&
      scanner.decimal(line.inode) && (scanner.atEnd() || scanner.skip(' '));
  if (!form) return false;
  while (scanner.skip(' ')) continue;  // the name is in a column of its own
  line.name = scanner.rest();
  // A double holds these exactly only because their low bits are zero.
  const bool aligned = ((line.start | line.end | line.offset) & kPageMask) == 0;
  return aligned && line.start <= line.end && line.major <= UINT32_MAX && line.minor <= UINT32_MAX;
}

}  // namespace

bool isMappingLine(std::string_view line) {
  uint64_t address;
  Scanner scanner(line);
  return scanner.hexadecimal(address) && scanner.skip('-');
}

bool addMapping(std::string_view text, MappingTable& table) {
  MappingLine line;
  if (!parseMappingLine(text, line)) return false;
  const bool deleted = line.name.ends_with(kDeleted);
  if (deleted) line.name.remove_suffix(kDeleted.size());
  table.start_address.push_back(static_cast<double>(line.start));
  table.end_address.push_back(static_cast<double>(line.end));
  table.offset_bytes.push_back(static_cast<double>(line.offset));
  table.device_major.push_back(static_cast<uint32_t>(line.major));
  table.device_minor.push_back(static_cast<uint32_t>(line.minor));
  table.inode.push_back(line.inode);
  table.permissions.push_back(table.strings.idOf(line.permissions));
  table.name.push_back(line.name.find('\\') == line.name.npos
                           ? table.strings.idOf(line.name)
                           : table.strings.idOf(unescaped(line.name)));
  table.deleted.push_back(deleted);
  return true;
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
    if (!addMapping(line, table_)) throwMalformedLine("maps", line_number_, line);
  }

  LineSplitter splitter_;
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
  ProcFile file(pid, "maps");
  return readMaps(file);
}

MappingTable readMaps(ProcFile& file) {
  MapsParser parser;
  std::vector<char> buffer(kReadBytes);
  while (const size_t got = file.read(buffer.data(), buffer.size()))
    parser.feed(buffer.data(), got);
  return parser.finish();
}

}  // namespace memdrift
