// SPDX-License-Identifier: MIT
#include "shm/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <optional>
#include <utility>

#include "errors.h"
#include "shm/crash_point.h"
#include "shm/free_space.h"
#include "shm/open_segments.h"

namespace memdrift {

namespace {

constexpr const char* kPrefix = "memdrift.";
constexpr size_t kMaxNameLength = 200;
// Who holds LOCK_EX is about to unlink, which takes microseconds unless it is preempted.
constexpr int kRemovalAttempts = 1000;
constexpr useconds_t kRemovalPauseUs = 100;

std::string pathOf(const std::string& name) {
  return std::string(kShmFolder) + "/" + kPrefix + name;
}

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

// V8's profiler sends SIGPROF every millisecond. tmpfs gives up an allocation at any signal and
// undoes it, so that one of more than a few megabytes would never end.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;

 private:
  sigset_t before_;
};

// True if the name still leads to the file behind `fd`: a sweeper may have unlinked it, and
// somebody else may have made another one of the same name since.
bool nameLeadsTo(const std::string& path, int fd) {
  struct stat by_name{};
  struct stat by_fd{};
  if (fstat(fd, &by_fd) != 0 || lstat(path.c_str(), &by_name) != 0) return false;
  return by_fd.st_nlink > 0 && by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

// Of any layout: how to see who is attached is the same for all.
bool readMagic(int fd, SegmentHeader& header) {
  return pread(fd, &header, sizeof(header), 0) == static_cast<ssize_t>(sizeof(header)) &&
         header.magic == kSegmentMagic;
}

// Whether a file of that size has the bytes of data that its header says.
bool holdsItsData(const SegmentHeader& header, const struct stat& status) {
  const auto file_bytes = static_cast<uint64_t>(status.st_size);
  return header.data_bytes != 0 && file_bytes >= kSegmentHeaderBytes &&
         file_bytes - kSegmentHeaderBytes >= header.data_bytes;
}

// The header's data_bytes, when all of it is as it must be.
uint64_t checkedDataBytes(int fd, SegmentKind kind, const std::string& path) {
  SegmentHeader header{};
  struct stat status{};
  if (fstat(fd, &status) != 0) throw Error::fromErrno("fstat", path);
  if (!readMagic(fd, header))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is no segment of memdrift");
  if (header.layout_version != kSegmentLayoutVersion)
    throw Error(ErrorCode::ERR_MALFORMED, path + " has layout " +
                                              std::to_string(header.layout_version) + ", this is " +
                                              std::to_string(kSegmentLayoutVersion) +
                                              ": another version of memdrift made it");
  if (header.kind != static_cast<uint32_t>(kind))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is a segment of another kind");
  if (!holdsItsData(header, status))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is shorter than its header says: " +
                                              std::to_string(status.st_size) + " bytes");
  return header.data_bytes;
}

// Unlinks the file if nobody is attached to it. LOCK_EX through an attached description converts
// its own LOCK_SH, which fails exactly when another attachment exists; the LOCK_SH is lost then, so
// that of several who leave at once the last one finds itself alone.
bool unlinkIfAlone(const std::string& path, int fd) {
  crashPoint();
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
  crashPoint();
  return nameLeadsTo(path, fd) && ::unlink(path.c_str()) == 0;
}

// Opens without following links and without waiting for the other end of a pipe.
Descriptor openAt(const std::string& path, int flags) {
  return Descriptor(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
}

Descriptor openToAttach(const std::string& path, bool read_only) {
  Descriptor file = openAt(path, read_only ? O_RDONLY : O_RDWR);
  if (file.get() < 0 && errno == ENOENT)
    throw Error(ErrorCode::ERR_GONE,
                path + " does not exist: nobody made it yet, or the last one out removed it",
                ENOENT);
  const bool special = errno == ELOOP || errno == EISDIR || errno == ENXIO;
  if (file.get() < 0 && !special) throw Error::fromErrno("open", path);
  struct stat status{};
  if (file.get() < 0 || fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is no segment: no regular file");
  if (status.st_uid != geteuid())
    throw Error(ErrorCode::ERR_DENIED, path + " belongs to user " + std::to_string(status.st_uid));
  return file;
}

// Opens a segment of this user by its name; invalid where there is none such.
Descriptor openOwn(const std::string& path, int flags, SegmentHeader& header) {
  Descriptor file = openAt(path, flags);
  struct stat status{};
  const bool own = file.get() >= 0 && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                   status.st_uid == geteuid() && readMagic(file.get(), header);
  return own ? std::move(file) : Descriptor(-1);
}

// A file of no name yet, so that nobody can see it half made, and locked as attached to.
Descriptor newFile(uint64_t data_bytes, SegmentKind kind) {
  Descriptor file(::open(kShmFolder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (file.get() < 0) throw Error::fromErrno("open(O_TMPFILE)", kShmFolder);
  crashPoint();
  // The umask may have taken rights away from the owner.
  if (flock(file.get(), LOCK_SH | LOCK_NB) != 0 || fchmod(file.get(), 0600) != 0)
    throw Error::fromErrno("lock or chmod of a new file in", kShmFolder);
  crashPoint();
  if (ftruncate(file.get(), static_cast<off_t>(kSegmentHeaderBytes + data_bytes)) != 0)
    throw Error::fromErrno("ftruncate of a new file in", kShmFolder);
  const SegmentHeader header{kSegmentMagic, kSegmentLayoutVersion, static_cast<uint32_t>(kind),
                             data_bytes};
  if (pwrite(file.get(), &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)))
    throw Error::fromErrno("write to a new file in", kShmFolder);
  return file;
}

// Throws ERR_EXISTS if the name is taken. Who is just leaving, or sweeping, is let finish; what
// nobody is attached to is removed.
void requireFreeName(const std::string& path) {
  for (int attempt = 0; attempt < kRemovalAttempts; attempt++) {
    struct stat status{};
    if (lstat(path.c_str(), &status) != 0 && errno == ENOENT) return;
    SegmentHeader header{};
    const Descriptor file = openOwn(path, O_RDONLY, header);
    if (file.get() < 0 && errno == ENOENT) continue;
    if (file.get() < 0) break;
    crashPoint();
    if (flock(file.get(), LOCK_SH | LOCK_NB) != 0)
      usleep(kRemovalPauseUs);
    else if (!unlinkIfAlone(path, file.get()) && nameLeadsTo(path, file.get()))
      break;
  }
  throw Error(ErrorCode::ERR_EXISTS,
              path +
                  " exists and is in use, or is no segment of ours; open it, take another name, "
                  "or unlink it first",
              EEXIST);
}

void publish(int fd, const std::string& path) {
  const std::string link = "/proc/self/fd/" + std::to_string(fd);
  crashPoint();
  while (linkat(AT_FDCWD, link.c_str(), AT_FDCWD, path.c_str(), AT_SYMLINK_FOLLOW) != 0) {
    if (errno != EEXIST) throw Error::fromErrno("link", path);
    requireFreeName(path);
    crashPoint();
  }
}

// The kernel calls a file by the name that it was opened by, and maps of one that had none say
// "/dev/shm/#123 (deleted)" for ever. Nothing if somebody has unlinked it already.
Descriptor openByName(const std::string& path, int fd) {
  Descriptor file = openAt(path, O_RDWR);
  struct stat status{};
  struct stat nameless{};
  crashPoint();
  const bool same = file.get() >= 0 && fstat(file.get(), &status) == 0 &&
                    fstat(fd, &nameless) == 0 && status.st_ino == nameless.st_ino &&
                    flock(file.get(), LOCK_SH | LOCK_NB) == 0;
  return same ? std::move(file) : Descriptor(-1);
}

bool isSegmentName(const std::string& name) {
  const char* allowed = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-";
  return !name.empty() && name.size() <= kMaxNameLength && name[0] != '.' &&
         name.find_first_not_of(allowed) == std::string::npos;
}

// Of files whose names cannot be a segment's there are none that we made.
std::vector<std::string> namesOfSegments() {
  std::vector<std::string> names;
  DIR* folder = opendir(kShmFolder);
  if (folder == nullptr) throw Error::fromErrno("opendir", kShmFolder);
  while (const dirent* entry = readdir(folder)) {
    if (strncmp(entry->d_name, kPrefix, strlen(kPrefix)) != 0) continue;
    std::string name(entry->d_name + strlen(kPrefix));
    if (isSegmentName(name)) names.push_back(std::move(name));
  }
  closedir(folder);
  return names;
}

}  // namespace

void checkSegmentName(const std::string& name) {
  if (isSegmentName(name)) return;
  throw Error(ErrorCode::ERR_INVALID,
              "'" + name +
                  "' is no name of a segment: 1 to 200 of A-Z a-z 0-9 . _ - are, and the "
                  "first is no dot");
}

Segment::Segment(std::string name, int fd, uint64_t data_bytes)
    : name_(std::move(name)),
      path_(pathOf(name_)),
      fd_(fd),
      data_bytes_(data_bytes),
      owner_pid_(getpid()) {
  OpenSegments::instance().add(this);
}

std::unique_ptr<Segment> Segment::create(const SegmentRequest& request) {
  checkSegmentName(request.name);
  const std::string path = pathOf(request.name);
  checkFits(path, kSegmentHeaderBytes + request.data_bytes - request.sparse_bytes);
  sweep();
  requireFreeName(path);
  Descriptor file = newFile(request.data_bytes, request.kind);
  std::unique_ptr<Segment> segment(new Segment(request.name, file.get(), request.data_bytes));
  file.release();
  if (request.prepare) request.prepare(*segment);
  publish(segment->fd(), path);
  Descriptor named = openByName(path, segment->fd());
  crashPoint();
  if (named.get() >= 0) close(std::exchange(segment->fd_, named.release()));
  return segment;
}

std::unique_ptr<Segment> Segment::open(const std::string& name, SegmentKind kind, bool read_only) {
  checkSegmentName(name);
  const std::string path = pathOf(name);
  Descriptor file = openToAttach(path, read_only);
  crashPoint();
  // A lock that is refused is a sweeper's or the last owner's on its way out: the segment is gone.
  if (flock(file.get(), LOCK_SH | LOCK_NB) != 0 || !nameLeadsTo(path, file.get()))
    throw Error(ErrorCode::ERR_GONE, path + " was just removed: nobody was attached to it");
  uint64_t data_bytes = 0;
  try {
    data_bytes = checkedDataBytes(file.get(), kind, path);
  } catch (const Error&) {
    // Somebody who left meanwhile saw our lock and did not unlink.
    SegmentHeader header{};
    if (readMagic(file.get(), header)) unlinkIfAlone(path, file.get());
    throw;
  }
  std::unique_ptr<Segment> segment(new Segment(name, file.get(), data_bytes));
  file.release();
  return segment;
}

Segment::~Segment() {
  OpenSegments::instance().remove(this);
  leave();
  crashPoint();
  close(fd_);
}

void Segment::leave() noexcept {
  if (getpid() == owner_pid_) unlinkIfAlone(path_, fd_);
}

void Segment::unlink(const std::string& name) {
  checkSegmentName(name);
  const std::string path = pathOf(name);
  for (int attempt = 0; attempt < kRemovalAttempts; attempt++) {
    const Descriptor file = openAt(path, O_RDONLY);
    if (file.get() < 0) break;
    crashPoint();
    // Our LOCK_SH keeps who is leaving from unlinking by name what somebody makes after us.
    if (flock(file.get(), LOCK_SH | LOCK_NB) != 0) {
      usleep(kRemovalPauseUs);
      continue;
    }
    if (!nameLeadsTo(path, file.get())) continue;
    crashPoint();
    if (::unlink(path.c_str()) != 0) throw Error::fromErrno("unlink", path);
    return;
  }
  // A link, or a file that we may not read: the folder's rights decide.
  crashPoint();
  if (::unlink(path.c_str()) != 0) throw Error::fromErrno("unlink", path);
}

std::vector<SegmentInfo> Segment::list() {
  std::vector<SegmentInfo> infos;
  for (const std::string& name : namesOfSegments()) {
    const std::string path = pathOf(name);
    SegmentHeader header{};
    struct stat status{};
    const Descriptor file = openOwn(path, O_RDONLY, header);
    if (file.get() < 0 || fstat(file.get(), &status) != 0 ||
        header.layout_version != kSegmentLayoutVersion || !holdsItsData(header, status))
      continue;
    infos.push_back({name, path, static_cast<SegmentKind>(header.kind), status.st_ino,
                     header.data_bytes, uint64_t{512} * static_cast<uint64_t>(status.st_blocks)});
  }
  return infos;
}

std::vector<std::string> Segment::sweep() {
  std::vector<std::string> swept;
  for (const std::string& name : namesOfSegments()) {
    const std::string path = pathOf(name);
    SegmentHeader header{};
    const Descriptor file = openOwn(path, O_RDONLY, header);
    if (file.get() >= 0 && unlinkIfAlone(path, file.get())) swept.push_back(name);
  }
  return swept;
}

void Segment::reserve(uint64_t offset, uint64_t bytes) {
  crashPoint();
  const SignalsHeld held;
  int result;
  do {
    result = fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  if (errno == ENOSPC) throw noFreeSpace(path_, bytes);
  throw Error::fromErrno("fallocate", path_);
}

void Segment::reserveAll() {
  const uint64_t resident_bytes = residentBytes();
  if (resident_bytes >= fileBytes()) return;
  checkFreeSpace(path_, fileBytes() - resident_bytes);
  reserve(0, fileBytes());
}

uint64_t Segment::residentBytes() const {
  struct stat status{};
  if (fstat(fd_, &status) != 0) throw Error::fromErrno("fstat", path_);
  return uint64_t{512} * static_cast<uint64_t>(status.st_blocks);
}

}  // namespace memdrift
