// SPDX-License-Identifier: MIT
#include "proc/counters.h"

#include <unistd.h>

#include <algorithm>

#include "errors.h"
#include "proc/maps.h"
#include "proc/read_file.h"
#include "proc/scan.h"

namespace memdrift {

namespace {

// "Name:\t<value>" with `key` without the colon.
std::optional<std::string_view> valueOf(std::string_view line, std::string_view key) {
  if (line.size() <= key.size() || line[key.size()] != ':' || !line.starts_with(key)) return {};
  line.remove_prefix(key.size() + 1);
  while (!line.empty() && (line[0] == '\t' || line[0] == ' ')) line.remove_prefix(1);
  return line;
}

// status prints names with \n and \\ escaped, so that one line stays one line.
std::string unescapeName(std::string_view text) {
  std::string name;
  for (size_t i = 0; i < text.size(); i++) {
    const bool escape = text[i] == '\\' && i + 1 < text.size();
    if (escape && (text[i + 1] == 'n' || text[i + 1] == '\\'))
      name += text[++i] == 'n' ? '\n' : '\\';
    else
      name += text[i];
  }
  return name;
}

class StatusParser {
 public:
  explicit StatusParser(Counters& counters) : counters_(counters) {}

  // False when the line has a known name and no value that fits it.
  bool line(std::string_view line) {
    // The name can hold anything, so it is looked at first and nothing else is read from that line.
    if (auto value = valueOf(line, "Name")) return counters_.name = unescapeName(*value), true;
    if (auto value = valueOf(line, "State")) return state(*value);
    if (auto value = valueOf(line, "Pid")) return pid(*value, counters_.pid);
    if (auto value = valueOf(line, "PPid")) return pid(*value, counters_.parent_pid);
    if (auto value = valueOf(line, "Uid")) return uids(*value);
    if (auto value = valueOf(line, "Threads")) return number(*value, counters_.threads);
    if (auto value = valueOf(line, "SigCgt")) return signals(*value);
#define MEMDRIFT_READ(kernel, name, js) \
  if (auto value = valueOf(line, #kernel)) return kilobytes(*value, counters_.name);
    if (line.starts_with("Vm") || line.starts_with("Rss") || line.starts_with("Huge")) {
      MEMDRIFT_STATUS_FIELDS(MEMDRIFT_READ)
    }
#undef MEMDRIFT_READ
    return true;
  }

 private:
  bool state(std::string_view value) {
    if (value.empty()) return false;
    counters_.state = value[0];
    return true;
  }

  static bool pid(std::string_view value, pid_t& out) {
    uint64_t number;
    if (!Scanner(value).decimal(number) || number > INT32_MAX) return false;
    out = static_cast<pid_t>(number);
    return true;
  }

  bool uids(std::string_view value) {
    Scanner scanner(value);
    uint64_t real, effective;
    if (!scanner.decimal(real)) return false;
    scanner.skipBlanks();
    if (!scanner.decimal(effective)) return false;
    counters_.uid = static_cast<double>(real);
    counters_.effective_uid = static_cast<double>(effective);
    return true;
  }

  bool signals(std::string_view value) {
    uint64_t mask;
    if (!Scanner(value).hexadecimal(mask)) return false;
    counters_.signals_caught = mask;
    return true;
  }

  static bool number(std::string_view value, double& out) {
    uint64_t number;
    if (!Scanner(value).decimal(number)) return false;
    out = static_cast<double>(number);
    return true;
  }

  static bool kilobytes(std::string_view value, double& out) {
    Scanner scanner(value);
    uint64_t number;
    if (!scanner.decimal(number) || scanner.word() != "kB") return false;
    out = 1024.0 * static_cast<double>(number);
    return true;
  }

  Counters& counters_;
};

}  // namespace

void parseStatus(std::string_view text, Counters& counters) {
  StatusParser parser(counters);
  size_t line_number = 0;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    if (!parser.line(line)) throwMalformedLine("status", line_number + 1, line);
    line_number++;
    text.remove_prefix(std::min(text.size(), line.size() + 1));
  }
  if (counters.pid == 0) throw Error(ErrorCode::ERR_MALFORMED, "status has no line \"Pid:\"");
  if (std::isnan(counters.shared_bytes))
    counters.shared_bytes = counters.rss_file_bytes + counters.rss_shmem_bytes;
}

StatLine parseStatLine(std::string_view text) {
  // The name is raw: spaces, parentheses and newlines included. Nothing after it has a parenthesis,
  // so it ends at the last one.
  const size_t open = text.find('('), close = text.rfind(')');
  uint64_t pid;
  if (!Scanner(text).decimal(pid) || pid > INT32_MAX || open == text.npos || close == text.npos ||
      close < open)
    throwMalformedLine("stat", 1, text);
  Scanner scanner(text.substr(close + 1));
  const std::string_view state = scanner.word();
  if (state.size() != 1) throwMalformedLine("stat", 1, text);
  uint64_t fields[25] = {};  // numbered as in proc(5)
  for (int i = 4; i <= 24; i++) {
    scanner.skipBlanks();
    const bool negative = scanner.skip('-');  // tty, nice and times of children may be
    if (!scanner.decimal(fields[i])) throwMalformedLine("stat", 1, text);
    if (negative) fields[i] = 0;
  }
  for (const int i : {4, 5, 6})
    if (fields[i] > INT32_MAX) throwMalformedLine("stat", 1, text);
  StatLine line;
  line.pid = static_cast<pid_t>(pid);
  line.name = text.substr(open + 1, close - open - 1);
  line.state = state[0];
  line.parent_pid = static_cast<pid_t>(fields[4]);
  line.process_group = static_cast<pid_t>(fields[5]);
  line.session = static_cast<pid_t>(fields[6]);
  line.faults = fields[10] + fields[12];
  line.ended_children_work = fields[11] + fields[13] + fields[16] + fields[17];
  line.user_ticks = fields[14];
  line.system_ticks = fields[15];
  line.threads = fields[20];
  line.start_time_ticks = fields[22];
  line.rss_pages = fields[24];
  return line;
}

void parseStat(std::string_view text, Counters& counters) {
  StatLine line = parseStatLine(text);
  counters.pid = line.pid;
  counters.name = std::move(line.name);
  counters.state = line.state;
  counters.parent_pid = line.parent_pid;
  counters.user_ticks = static_cast<double>(line.user_ticks);
  counters.system_ticks = static_cast<double>(line.system_ticks);
  counters.threads = static_cast<double>(line.threads);
  counters.start_time_ticks = static_cast<double>(line.start_time_ticks);
}

Statm parseStatm(std::string_view text, uint64_t page_size_bytes) {
  Scanner scanner(text);
  double bytes[7];
  for (double& value : bytes) {
    uint64_t pages;
    scanner.skipBlanks();
    if (!scanner.decimal(pages)) throwMalformedLine("statm", 1, text);
    value = static_cast<double>(pages) * static_cast<double>(page_size_bytes);
  }
  return {bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5], bytes[6]};
}

Counters readStatus(pid_t pid, std::string& buffer) {
  Counters counters;
  readProcFile(pid, "status", buffer);
  parseStatus(buffer, counters);
  return counters;
}

Counters readCounters(pid_t pid) {
  std::string buffer;
  Counters counters = readStatus(pid, buffer);
  readProcFile(pid, "stat", buffer);
  parseStat(buffer, counters);
  if (std::isnan(counters.shared_bytes) && !std::isnan(counters.rss_bytes)) {
    readProcFile(pid, "statm", buffer);
    counters.shared_bytes =
        parseStatm(buffer, static_cast<uint64_t>(sysconf(_SC_PAGESIZE))).shared_bytes;
  }
  return counters;
}

}  // namespace memdrift
