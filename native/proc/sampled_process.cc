// SPDX-License-Identifier: MIT
#include "proc/sampled_process.h"

#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "errors.h"
#include "proc/smaps.h"

namespace memdrift {

namespace {

// What a pass costs before it was ever measured: the kernel's walk, per mapped byte and at least.
constexpr double kPassNsPerByte = 10e6 / 1e9;
constexpr double kPassNsAtLeast = 500e3;
constexpr double kBlockBytes = 512;  // st_blocks counts in these on every file system
constexpr size_t kStatusBytes = 8192;
constexpr size_t kStatBytes = 1024;

// 0: the process has ended.
size_t readFromStart(const ProcFile& file, char* buffer, size_t size) {
  ssize_t got;
  do {
    got = pread(file.fd(), buffer, size, 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0 && errno != ESRCH) throw Error::fromErrno("read", file.path());
  return got < 0 ? 0 : static_cast<size_t>(got);
}

// `part` of a Pss, moved as the counter that it is a share of has moved. A share grows and shrinks
// with it; what was nothing, or has no counter, is not moved.
double movedShare(double part, double counter_then, double counter_now) {
  if (!(counter_then > 0) || std::isnan(counter_now)) return part;
  return part * counter_now / counter_then;
}

constexpr std::string_view kSharedMemory = "/dev/shm/";

// Files of shared memory: those that have a name there, and whatever is one of `segments`.
bool isSegment(const MappingRow& row, std::string_view path,
               const std::vector<SampledSegment>& segments) {
  if (row.inode == 0) return false;
  if (path.starts_with(kSharedMemory) && !row.deleted) return true;
  return std::any_of(segments.begin(), segments.end(), [&row](const SampledSegment& segment) {
    return segment.is(row.device_major, row.device_minor, row.inode);
  });
}

std::vector<Shares::Segment> segmentsOf(const SmapsTable& table,
                                        const std::vector<SampledSegment>& segments) {
  std::vector<Shares::Segment> found;
  for (size_t i = 0; i < table.size(); i++) {
    const MappingRow& row = table.mappings[i];
    const std::string& path = table.mappings.nameOf(i);
    if (!isSegment(row, path, segments)) continue;
    const auto same = std::find_if(found.begin(), found.end(), [&row](const auto& one) {
      return one.inode == row.inode && one.major == row.device_major &&
             one.minor == row.device_minor;
    });
    const double copied = knownOrZero(table.value(i, SmapsField::anonymous_bytes));
    const double pss = std::max(0.0, knownOrZero(table.value(i, SmapsField::pss_bytes)) - copied);
    if (same != found.end())
      same->pss_bytes += pss;
    else
      found.push_back({row.device_major, row.device_minor, row.inode, path, pss});
  }
  return found;
}

bool isSharedMemory(const MappingRow& row, std::string_view path,
                    const std::vector<SampledSegment>& segments) {
  return isSegment(row, path, segments) || path.starts_with("/memfd:") ||
         path.starts_with("/SYSV") || path.starts_with("/dev/zero") ||
         path.starts_with(kSharedMemory);
}

// Returns the mapped parts of files. Inaccessible mappings, which fill gaps between the parts of a
// library, have no pages.
std::vector<FileExtent> extentsOf(const MappingTable& table,
                                  const std::vector<SampledSegment>& segments) {
  std::vector<FileExtent> extents;
  for (size_t i = 0; i < table.size(); i++) {
    const MappingRow& row = table[i];
    const bool is_gap = table.permissionsOf(i).starts_with("---");
    if (row.inode == 0 || is_gap) continue;
    extents.push_back({uint64_t{row.device_major} << 32 | row.device_minor, row.inode,
                       row.offset_bytes, row.offset_bytes + (row.end_address - row.start_address),
                       isSharedMemory(row, table.nameOf(i), segments)});
  }
  return extents;
}

// A shared anonymous mapping has a file without a name, which no process can open.
double closedPssOf(const SmapsTable& table) {
  double sum = 0;
  for (size_t i = 0; i < table.size(); i++) {
    const MappingRow& row = table.mappings[i];
    if (row.inode == 0 || !row.deleted || table.mappings.nameOf(i) != "/dev/zero") continue;
    const double pss = knownOrZero(table.value(i, SmapsField::pss_bytes));
    sum += std::max(0.0, pss - knownOrZero(table.value(i, SmapsField::anonymous_bytes)));
  }
  return sum;
}

// smaps itself does not say what makes up its Pss: copies in a mapping are taken to be its own.
void splitPss(const SmapsTable& table, const std::vector<SampledSegment>& segments,
              Rollup& rollup) {
  double anon = 0, file = 0, shmem = 0;
  for (size_t i = 0; i < table.size(); i++) {
    const MappingRow& row = table.mappings[i];
    const std::string& path = table.mappings.nameOf(i);
    const double pss = knownOrZero(table.value(i, SmapsField::pss_bytes));
    if (row.inode == 0) {
      anon += pss;
      continue;
    }
    const double copied = std::min(pss, knownOrZero(table.value(i, SmapsField::anonymous_bytes)));
    const bool is_shmem = isSharedMemory(row, path, segments);
    anon += copied;
    (is_shmem ? shmem : file) += pss - copied;
  }
  const auto set = [&rollup](SmapsField field, double bytes) {
    rollup.values[static_cast<size_t>(field)] = bytes;
  };
  set(SmapsField::pss_anon_bytes, anon);
  set(SmapsField::pss_file_bytes, file);
  set(SmapsField::pss_shmem_bytes, shmem);
}

}  // namespace

const char* exactnessName(Exactness exactness) noexcept {
  switch (exactness) {
    case Exactness::kExact:
      return "exact";
    case Exactness::kKernel:
      return "kernel";
    case Exactness::kSampled:
      return "sampled";
    case Exactness::kEstimated:
      return "estimated";
  }
  return "estimated";
}

int64_t threadCpuNs() noexcept {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return int64_t{time.tv_sec} * 1'000'000'000 + time.tv_nsec;
}

double knownOrZero(double value) noexcept { return std::isnan(value) ? 0 : value; }

void Peak::offer(double value, double when_ms) {
  if (std::isnan(value)) return;
  samples++;
  if (value <= bytes) return;
  bytes = value;
  at_ms = when_ms;
}

void SampledSegment::look() noexcept {
  struct stat status;
  if (stat(path_.c_str(), &status) != 0) {
    resident_bytes_ = NAN;
    return;
  }
  seen_ = true;
  major_ = major(status.st_dev);
  minor_ = minor(status.st_dev);
  inode_ = status.st_ino;
  resident_bytes_ = kBlockBytes * static_cast<double>(status.st_blocks);
  peak_bytes_ = std::fmax(peak_bytes_, resident_bytes_);
}

bool SampledSegment::is(uint32_t major, uint32_t minor, uint64_t inode) const noexcept {
  return seen_ && inode == inode_ && major == major_ && minor == minor_;
}

double Shares::pssOf(const SampledSegment& segment) const noexcept {
  double sum = 0;
  for (const Segment& one : segments)
    if (segment.is(one.major, one.minor, one.inode)) sum += one.pss_bytes;
  return sum;
}

SampledProcess::SampledProcess(pid_t pid, Detail detail)
    : pid_(pid),
      status_(pid, "status"),
      stat_file_(pid, "stat"),
      finds_files_(detail == Detail::kWithFiles) {
  rss.exactness = Exactness::kKernel;
  // stat first: as long as status, which was opened before it, answers, both are of one process.
  const bool has_stat = readStat();
  if (!has_stat || !readStatus() || counters_.state == 'Z' || counters_.state == 'X')
    throw Error(ErrorCode::ERR_GONE, "process " + std::to_string(pid) + " has ended");
  has_waited_ = false;
}

bool SampledProcess::readStatus() {
  char buffer[kStatusBytes];
  const size_t length = readFromStart(status_, buffer, sizeof buffer);
  if (length == 0) return false;
  std::string_view text(buffer, length);
  // A group list of thousands makes the text longer; memory and state stand before what is cut.
  if (length == sizeof buffer) text = text.substr(0, text.rfind('\n') + 1);
  counters_ = Counters();
  parseStatus(text, counters_);
  return true;
}

bool SampledProcess::readStat() {
  char buffer[kStatBytes];
  const size_t length = readFromStart(stat_file_, buffer, sizeof buffer);
  if (length == 0) return false;
  StatLine line = parseStatLine({buffer, length});
  has_waited_ |= line.ended_children_work > stat_.ended_children_work;
  stat_ = std::move(line);
  return true;
}

bool SampledProcess::end(double at_ms) {
  ended_at_ms_ = at_ms;
  return false;
}

bool SampledProcess::tick(double at_ms) {
  if (ended()) return false;
  try {
    if (!readStatus() || counters_.state == 'Z' || counters_.state == 'X') return end(at_ms);
    if (!readStat()) return end(at_ms);
  } catch (const Error&) {
    return end(at_ms);  // it cannot be followed any more, which for a peak is the same
  }
  if (samples_++ == 0) began_at_ms_ = at_ms;
  const double sampled = counters_.rss_bytes;
  rss.offer(sampled, at_ms);
  // The kernel saw more between two samples than any of them did.
  if (counters_.peak_rss_bytes > rss.bytes) {
    rss.bytes = counters_.peak_rss_bytes;
    rss.at_ms = NAN;
  }
  rss_anon.offer(counters_.rss_anon_bytes, at_ms);
  shared.offer(counters_.shared_bytes, at_ms);
  return true;
}

Shares SampledProcess::readShares(const std::vector<SampledSegment>& segments) const {
  Shares shares;
  const bool needs_files = !segments.empty() || (finds_files_ && counters_.rss_shmem_bytes > 0);
  Rollup rollup{};
  if (!needs_files) rollup = readRollup(pid_);
  // The rollup has the parts of Pss since Linux 5.9.
  if (needs_files || std::isnan(rollup[SmapsField::pss_anon_bytes])) {
    const SmapsTable table = readSmaps(pid_);
    rollup = rollupOf(table);
    shares.segments = segmentsOf(table, segments);
    splitPss(table, segments, rollup);
    shares.closed_pss_bytes = closedPssOf(table);
    if (finds_files_) shares.files = extentsOf(table.mappings, segments);
  }
  if (finds_files_ && !shares.files) shares.files = extentsOf(readMaps(pid_), segments);
  shares.rss_bytes = rollup[SmapsField::rss_bytes];
  shares.pss_bytes = rollup[SmapsField::pss_bytes];
  shares.uss_bytes = rollup.ussBytes();
  shares.anon_bytes = rollup[SmapsField::anonymous_bytes];
  shares.swap_bytes = rollup[SmapsField::swap_bytes];
  shares.pss_anon_bytes = rollup[SmapsField::pss_anon_bytes];
  shares.pss_file_bytes = rollup[SmapsField::pss_file_bytes];
  shares.pss_shmem_bytes = rollup[SmapsField::pss_shmem_bytes];
  return shares;
}

SampledProcess::PassOutcome SampledProcess::pass(double at_ms,
                                                 const std::vector<SampledSegment>& segments) {
  if (ended()) return PassOutcome::kEnded;
  const int64_t before_ns = threadCpuNs();
  Shares shares;
  try {
    shares = readShares(segments);
  } catch (const Error& error) {
    denied_ = error.code() != ErrorCode::ERR_GONE;
  }
  // smaps is opened by number, the status file is not: as long as that one answers, the number has
  // not changed its owner.
  if (!tick(at_ms)) return PassOutcome::kEnded;
  if (std::isnan(shares.pss_bytes)) return PassOutcome::kDenied;
  denied_ = false;
  passes_++;
  pss.offer(shares.pss_bytes, at_ms);
  uss.offer(shares.uss_bytes, at_ms);
  shares_ = std::move(shares);
  at_pass_ = counters_;
  passed_at_ms_ = at_ms;
  pass_cost_ns_ = threadCpuNs() - before_ns;
  return PassOutcome::kRead;
}

int64_t SampledProcess::predictedPassNs() const {
  if (denied_) return 0;
  const double rss_now = knownOrZero(counters_.rss_bytes);
  if (passes_ == 0) return static_cast<int64_t>(kPassNsAtLeast + kPassNsPerByte * rss_now);
  const double growth = shares_.rss_bytes > 0 ? rss_now / shares_.rss_bytes : 1;
  return static_cast<int64_t>(static_cast<double>(pass_cost_ns_) * std::max(1.0, growth));
}

double SampledProcess::pssNowBytes() const {
  if (denied_ || passes_ == 0) return NAN;
  const double anon_moved =
      knownOrZero(counters_.rss_anon_bytes) - knownOrZero(at_pass_.rss_anon_bytes);
  double now;
  if (std::isnan(shares_.pss_anon_bytes)) {
    now = shares_.pss_bytes + anon_moved;
  } else {
    // New anonymous pages are its own until it forks; gone ones were as shared as the rest.
    const double anon =
        anon_moved >= 0
            ? shares_.pss_anon_bytes + anon_moved
            : movedShare(shares_.pss_anon_bytes, at_pass_.rss_anon_bytes, counters_.rss_anon_bytes);
    now = anon +
          movedShare(shares_.pss_file_bytes, at_pass_.rss_file_bytes, counters_.rss_file_bytes) +
          movedShare(shares_.pss_shmem_bytes, at_pass_.rss_shmem_bytes, counters_.rss_shmem_bytes);
  }
  return std::clamp(now, 0.0, std::max(0.0, knownOrZero(counters_.rss_bytes)));
}

double SampledProcess::movedSincePassBytes() const {
  if (denied_) return 0;
  if (passes_ == 0) return knownOrZero(counters_.rss_bytes);
  const auto moved = [](double then, double now) {
    return std::abs(knownOrZero(now) - knownOrZero(then));
  };
  return moved(at_pass_.rss_anon_bytes, counters_.rss_anon_bytes) +
         moved(at_pass_.rss_file_bytes, counters_.rss_file_bytes) +
         moved(at_pass_.rss_shmem_bytes, counters_.rss_shmem_bytes);
}

}  // namespace memdrift
