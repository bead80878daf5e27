// SPDX-License-Identifier: MIT
#include "proc/smaps.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <memory>
#include <optional>

#include "errors.h"
#include "proc/read_file.h"
#include "proc/scan.h"

namespace memdrift {

namespace {

struct FieldName {
  std::string_view kernel;
  const char* name;
};

constexpr FieldName kFields[] = {
#define MEMDRIFT_NAME(kernel, name, js) {#kernel, #name},
    MEMDRIFT_SMAPS_FIELDS(MEMDRIFT_NAME)
#undef MEMDRIFT_NAME
};

// "       12 kB" -> bytes, "       1" -> 1, anything else -> NaN.
double valueOf(std::string_view text) {
  Scanner scanner(text);
  scanner.skipBlanks();
  uint64_t number;
  if (!scanner.decimal(number)) return NAN;
  const std::string_view unit = scanner.word();
  scanner.skipBlanks();
  if (!scanner.atEnd() || (unit != "kB" && !unit.empty())) return NAN;
  return static_cast<double>(number) * (unit.empty() ? 1 : 1024);
}

// The usual line: "Rss:            " | "      12" | " kB\n".
constexpr size_t kKeyColumns = 16, kNumberColumns = 8, kPlainLine = 25, kUnitLine = 28;
constexpr char kUnitAndNewline[] = " kB\n";
constexpr std::string_view kVmFlags = "VmFlags";

// Eight columns of blanks, then digits, all at once. False for anything else (and on big-endian
// machines): the line is then read byte by byte.
bool paddedNumber(const char* at, uint64_t& value) {
  if constexpr (std::endian::native != std::endian::little) return false;
  constexpr uint64_t kEach = 0x0101010101010101;
  uint64_t text;
  memcpy(&text, at, sizeof text);
  const uint64_t low = text & 0x0f * kEach;
  const uint64_t digit_bits = text >> 4 & kEach;  // a digit is 0x3?, a blank 0x20
  const uint64_t digits = digit_bits * 0xff;
  const uint64_t blanks = ~digits;
  // Blanks first: seen as a number, a run of ones at its low end. A last column that is no digit
  // makes them all ones.
  if ((blanks & (blanks + 1)) != 0 || digits == 0) return false;
  if ((text ^ low) != (0x20 * kEach | 0x10 * digit_bits) || (low & blanks) != 0) return false;
  if ((low + 0x06 * kEach) & 0x10 * kEach) return false;  // 0x3a to 0x3f
  const uint64_t pairs = 10 * low + (low >> 8);
  value = ((pairs & 0x000000ff000000ff) * 0x000f424000000064 +
           (pairs >> 16 & 0x000000ff000000ff) * 0x0000271000000001) >>
          32;
  return true;
}

}  // namespace

const char* smapsFieldName(SmapsField field) noexcept {
  return kFields[static_cast<size_t>(field)].name;
}

double SmapsTable::total(SmapsField field) const {
  if (size() == 0) return 0;
  double sum = 0;
  for (size_t i = 0; i < size(); i++) {
    const double value = this->value(i, field);
    if (!std::isnan(value)) sum += value;
  }
  return reported[static_cast<size_t>(field)] ? sum : NAN;
}

void SmapsParser::feed(const char* data, size_t size) {
  const char* const end = data + size;
  if (!carry_.empty()) {
    const char* newline = static_cast<const char*>(memchr(data, '\n', size));
    carry_.append(data, newline ? newline : end);
    if (!newline) return;
    addLine(carry_);
    carry_.clear();
    data = newline + 1;
  }
  while ((data = takeKnown(data, end)) < end) {
    const auto left = static_cast<size_t>(end - data);
    const char* newline = static_cast<const char*>(memchr(data, '\n', left));
    if (!newline) break;
    addLine({data, static_cast<size_t>(newline - data)});
    data = newline + 1;
  }
  carry_.assign(data, end);
}

SmapsTable SmapsParser::finish() {
  if (!carry_.empty()) addLine(carry_);
  for (auto& field : table_.unknown_fields) field.values.resize(table_.size(), NAN);
  return std::move(table_);
}

// Takes lines as long as they are like earlier ones; returns where it stopped.
const char* SmapsParser::takeKnown(const char* at, const char* end) {
  if (table_.size() == 0) return at;
  for (const char* before = nullptr; at != before;) {
    before = at;
    at = takeRepeated(takeExpected(at, end), end);
  }
  return at;
}

// A line of flags or the first line of a mapping, like one of the two before.
const char* SmapsParser::takeRepeated(const char* at, const char* end) {
  const std::string_view text(at, static_cast<size_t>(end - at));
  if (text.starts_with(kVmFlags)) {
    for (const RecentFlags& recent : recent_flags_) {
      if (recent.text.empty() || !text.starts_with(recent.text)) continue;
      table_.mappings.rows.back().vm_flags = recent.id;
      line_number_++;
      return at + recent.text.size();
    }
    return at;
  }
  const size_t taken = mappings_.addRepeated(text, table_.mappings);
  if (taken != 0) {
    beginRow();
    line_number_++;
  }
  return at + taken;
}

// Takes field lines as long as they are the expected ones; returns where it stopped.
const char* SmapsParser::takeExpected(const char* at, const char* end) {
  SmapsRow& row = table_.values.back();
  size_t i = next_;
  for (; i < expected_.size() && static_cast<size_t>(end - at) >= kUnitLine; i++) {
    Expected& expected = expected_[i];
    if (!expected.is_padded) break;
    const bool same = expected.has_unit ? memcmp(at, expected.text.data(), kUnitLine) == 0
                                        : memcmp(at, expected.text.data(), kPlainLine) == 0;
    if (!same && !takeChanged(at, expected)) break;
    row[expected.field] = expected.value;
    at += expected.has_unit ? kUnitLine : kPlainLine;
  }
  line_number_ += i - next_;
  next_ = i;
  return at;
}

// The expected field with another number.
bool SmapsParser::takeChanged(const char* at, Expected& expected) {
  const char* const after = at + kKeyColumns + kNumberColumns;
  uint64_t value;
  if (memcmp(at, expected.text.data(), kKeyColumns) != 0 ||
      !paddedNumber(at + kKeyColumns, value) ||
      (expected.has_unit ? memcmp(after, kUnitAndNewline, 4) != 0 : *after != '\n'))
    return false;
  memcpy(expected.text.data(), at, expected.text.size());
  expected.value = static_cast<double>(value << (expected.has_unit ? 10 : 0));
  return true;
}

void SmapsParser::addLine(std::string_view line) {
  line_number_++;
  const bool upper = !line.empty() && line[0] >= 'A' && line[0] <= 'Z';
  if (!upper && addRow(line)) return;
  if (!upper && isMappingLine(line)) throwMalformedLine("smaps", line_number_, line);
  addField(line);
}

bool SmapsParser::addRow(std::string_view line) {
  if (!mappings_.add(line, table_.mappings)) return false;
  beginRow();
  return true;
}

void SmapsParser::beginRow() {
  static constexpr SmapsRow kNothing = [] {
    SmapsRow row;
    row.fill(NAN);
    return row;
  }();
  table_.values.add() = kNothing;
  next_ = 0;
}

void SmapsParser::addField(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == line.npos || colon == 0 || line.find_first_of(" \t") < colon || table_.size() == 0)
    throwMalformedLine("smaps", line_number_, line);
  const std::string_view name = line.substr(0, colon), value = line.substr(colon + 1);
  if (name == kVmFlags) return addVmFlags(line);
  size_t field = 0;
  while (field < kSmapsFieldCount && kFields[field].kernel != name) field++;
  if (field == kSmapsFieldCount) return addUnknown(name, valueOf(value));
  const double number = valueOf(value);
  if (std::isnan(number)) throwMalformedLine("smaps", line_number_, line);
  table_.values.back()[field] = number;
  table_.reported[field] = true;
  if (table_.size() == 1) expectLike(line, field);
  for (next_ = 0; next_ < expected_.size();)
    if (expected_[next_++].field == field) return;
}

void SmapsParser::addVmFlags(std::string_view line) {
  std::string_view flags = line.substr(kVmFlags.size() + 1);
  while (flags.starts_with(' ')) flags.remove_prefix(1);
  while (flags.ends_with(' ')) flags.remove_suffix(1);
  MappingTable& mappings = table_.mappings;
  mappings.rows.back().vm_flags = mappings.strings.idOf(flags);
  RecentFlags& recent = recent_flags_[oldest_flags_];
  oldest_flags_ ^= 1;
  recent.text = line;
  recent.text += '\n';
  recent.id = mappings.rows.back().vm_flags;
}

void SmapsParser::addUnknown(std::string_view name, double value) {
  auto& fields = table_.unknown_fields;
  size_t i = 0;
  while (i < fields.size() && fields[i].name != name) i++;
  if (i == fields.size()) fields.push_back({std::string(name), {}});
  fields[i].values.resize(table_.size(), NAN);
  fields[i].values.back() = value;
}

void SmapsParser::expectLike(std::string_view line, size_t field) {
  Expected expected = {};
  expected.has_unit = line.ends_with(" kB");
  expected.field = field;
  uint64_t value;
  if (line.size() == (expected.has_unit ? kUnitLine : kPlainLine) - 1 &&
      paddedNumber(line.data() + kKeyColumns, value)) {
    memcpy(expected.text.data(), line.data(), line.size());
    expected.text[line.size()] = '\n';
    expected.value = table_.values.back()[field];
    expected.is_padded = true;
  }
  expected_.push_back(expected);
}

double Rollup::ussBytes() const {
  const double hugetlb = (*this)[SmapsField::private_hugetlb_bytes];
  return (*this)[SmapsField::private_clean_bytes] + (*this)[SmapsField::private_dirty_bytes] +
         (std::isnan(hugetlb) ? 0 : hugetlb);
}

SmapsTable parseSmaps(std::string_view text) {
  SmapsParser parser;
  parser.feed(text.data(), text.size());
  return parser.finish();
}

Rollup parseRollup(std::string_view text) {
  const SmapsTable table = parseSmaps(text);
  if (table.size() != 1)
    throw Error(ErrorCode::ERR_MALFORMED, "smaps_rollup has " + std::to_string(table.size()) +
                                              " entries where the kernel writes one");
  Rollup rollup = rollupOf(table);
  rollup.source = Rollup::Source::kRollup;
  return rollup;
}

Rollup rollupOf(const SmapsTable& table) {
  Rollup rollup;
  rollup.source = Rollup::Source::kSmaps;
  for (size_t i = 0; i < kSmapsFieldCount; i++)
    rollup.values[i] = table.total(static_cast<SmapsField>(i));
  return rollup;
}

namespace {

// Nothing when exec came between the two opens.
std::optional<SmapsTable> tryReadSmaps(pid_t pid, char* buffer) {
  // smaps ends early, without an error, when the process gives up its memory during the read (exit,
  // exec). maps, opened beside it and read last, tells: it is empty once that memory is gone.
  ProcFile smaps(pid, "smaps");
  ProcFile maps(pid, "maps");
  SmapsParser parser;
  bool read_any = false;
  while (const size_t got = smaps.read(buffer, kReadBytes)) {
    parser.feed(buffer, got);
    read_any = true;
  }
  const bool alive = maps.read(buffer, 1) == 1;
  if (read_any && !alive)
    throw Error(ErrorCode::ERR_GONE, "the process ended while " + smaps.path() + " was read");
  if (!read_any && alive) return {};
  return parser.finish();
}

}  // namespace

SmapsTable readSmaps(pid_t pid) {
  constexpr int kTries = 3;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kReadBytes);
  try {
    for (int i = 0; i < kTries; i++)
      if (auto table = tryReadSmaps(pid, buffer.get())) return std::move(*table);
  } catch (const Error& error) {
    // Some kernels say ESRCH, not nothing, for a process without memory that is still there.
    if (error.errorNumber() == ESRCH && processExists(pid)) return {};
    throw;
  }
  throw Error(ErrorCode::ERR_BUSY, "process " + std::to_string(pid) +
                                       " replaced its memory (exec) at every try to read smaps");
}

Rollup readRollup(pid_t pid) {
  try {
    std::string text;
    readProcFile(pid, "smaps_rollup", text);
    if (!text.empty()) return parseRollup(text);
  } catch (const Error& error) {
    // ESRCH and ENOENT come for live processes too; smaps says whether this one is.
    if (error.errorNumber() != ESRCH && error.errorNumber() != ENOENT) throw;
  }
  return rollupOf(readSmaps(pid));
}

}  // namespace memdrift
