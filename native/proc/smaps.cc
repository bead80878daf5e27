// SPDX-License-Identifier: MIT
#include "proc/smaps.h"

#include <cmath>
#include <memory>

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

double sumOf(const std::vector<double>& column) {
  double sum = NAN;
  for (const double value : column)
    if (!std::isnan(value)) sum = std::isnan(sum) ? value : sum + value;
  return sum;
}

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

}  // namespace

const char* smapsFieldName(SmapsField field) noexcept {
  return kFields[static_cast<size_t>(field)].name;
}

double SmapsTable::total(SmapsField field) const { return size() == 0 ? 0 : sumOf(column(field)); }

void SmapsParser::feed(const char* data, size_t size) {
  splitter_.feed(data, size, [this](std::string_view line) { addLine(line); });
}

SmapsTable SmapsParser::finish() {
  splitter_.finish([this](std::string_view line) { addLine(line); });
  return std::move(table_);
}

void SmapsParser::addLine(std::string_view line) {
  line_number_++;
  if (isMappingLine(line))
    addRow(line);
  else
    addField(line);
}

void SmapsParser::addRow(std::string_view line) {
  if (!addMapping(line, table_.mappings)) throwMalformedLine("smaps", line_number_, line);
  for (auto& column : table_.columns)
    if (!column.empty()) column.push_back(NAN);
  for (auto& field : table_.unknown_fields) field.values.push_back(NAN);
  table_.vm_flags.push_back(table_.mappings.strings.idOf(""));
}

void SmapsParser::addField(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == line.npos || colon == 0 || table_.size() == 0)
    throwMalformedLine("smaps", line_number_, line);
  const std::string_view name = line.substr(0, colon);
  std::string_view value = line.substr(colon + 1);
  if (name == "VmFlags") {
    while (value.starts_with(' ')) value.remove_prefix(1);
    while (value.ends_with(' ')) value.remove_suffix(1);
    table_.vm_flags.back() = table_.mappings.strings.idOf(value);
    return;
  }
  columnOf(name).back() = valueOf(value);
}

std::vector<double>& SmapsParser::columnOf(std::string_view name) {
  for (size_t i = 0; i < kSmapsFieldCount; i++) {
    if (kFields[i].kernel != name) continue;
    if (table_.columns[i].empty()) table_.columns[i].resize(table_.size(), NAN);
    return table_.columns[i];
  }
  for (auto& field : table_.unknown_fields)
    if (field.name == name) return field.values;
  table_.unknown_fields.push_back({std::string(name), std::vector<double>(table_.size(), NAN)});
  return table_.unknown_fields.back().values;
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

SmapsTable readSmaps(pid_t pid) {
  // smaps ends early, without an error, when the process gives up its memory during the read (exit,
  // exec). maps, opened beside it and read last, tells: it is empty once that memory is gone.
  constexpr int kTries = 3;
  const auto buffer = std::make_unique_for_overwrite<char[]>(kReadBytes);
  for (int i = 0; i < kTries; i++) {
    ProcFile smaps(pid, "smaps");
    ProcFile maps(pid, "maps");
    SmapsParser parser;
    bool read_any = false;
    while (const size_t got = smaps.read(buffer.get(), kReadBytes)) {
      parser.feed(buffer.get(), got);
      read_any = true;
    }
    const bool alive = maps.read(buffer.get(), 1) == 1;
    if (read_any && !alive)
      throw Error(ErrorCode::ERR_GONE, "the process ended while " + smaps.path() + " was read");
    if (read_any || !alive) return parser.finish();
    // exec between the two opens: smaps is of the old memory, maps of the new.
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
