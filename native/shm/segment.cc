// SPDX-License-Identifier: MIT
#include "shm/segment.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <optional>
#include <set>

#include "errors.h"

namespace memdrift {

namespace {

constexpr const char* kFolder = "/dev/shm";
constexpr const char* kPrefix = "memdrift.";
constexpr size_t kMaxNameLength = 200;
// A name that a sweeper takes between our open and our lock is made again; it can only lose as
// often as there are sweepers at work.
constexpr int kCreateAttempts = 100;

std::string pathOf(const std::string& name) { return std::string(kFolder) + "/" + kPrefix + name; }

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(other.release()) {}
  Descriptor& operator=(Descriptor&&) = delete;
  int get() const { return fd_; }
  int release() {
    const int fd = fd_;
    fd_ = -1;
    return fd;
  }

 private:
  int fd_;
};

// True if the name still leads to the file behind `fd`: a sweeper may have unlinked it, and
// somebody else may have made another one of the same name since.
bool nameLeadsTo(const std::string& path, int fd) {
  struct stat by_name{};
  struct stat by_fd{};
  if (fstat(fd, &by_fd) != 0 || lstat(path.c_str(), &by_name) != 0) return false;
  return by_fd.st_nlink > 0 && by_name.st_ino == by_fd.st_ino && by_name.st_dev == by_fd.st_dev;
}

bool readHeader(int fd, SegmentHeader& header) {
  return pread(fd, &header, sizeof(header), 0) == static_cast<ssize_t>(sizeof(header)) &&
         header.magic == kSegmentMagic && header.layout_version == kSegmentLayoutVersion;
}

void writeHeader(int fd, const SegmentHeader& header, const std::string& path) {
  if (pwrite(fd, &header, sizeof(header), 0) != static_cast<ssize_t>(sizeof(header)))
    throw Error::fromErrno("write of the header", path);
  // The magic goes last: a reader that sees it sees the rest.
  if (pwrite(fd, &kSegmentMagic, sizeof(kSegmentMagic), 0) != sizeof(kSegmentMagic))
    throw Error::fromErrno("write of the header", path);
}

void checkRoom(uint64_t data_bytes, const std::string& path) {
  struct statvfs file_system{};
  if (statvfs(kFolder, &file_system) != 0) throw Error::fromErrno("statvfs", kFolder);
  const uint64_t total_bytes = uint64_t{file_system.f_blocks} * file_system.f_frsize;
  // A tmpfs mounted with size=0 has no limit and says 0.
  if (total_bytes == 0 || data_bytes + kSegmentHeaderBytes <= total_bytes) return;
  throw Error(ErrorCode::ERR_FULL, path + " needs " + std::to_string(data_bytes) +
                                       " bytes, but /dev/shm has " + std::to_string(total_bytes) +
                                       " in all; ask for less, or mount it larger");
}

// Opens a new file and takes its lock, or returns nothing if a sweeper was quicker than the lock.
std::optional<Descriptor> createLocked(const std::string& path) {
  Descriptor file(::open(path.c_str(), O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (file.get() < 0) throw Error::fromErrno("creation", path);
  if (flock(file.get(), LOCK_SH | LOCK_NB) != 0 || !nameLeadsTo(path, file.get()))
    return std::nullopt;
  // The umask may have taken rights away from the owner.
  if (fchmod(file.get(), 0600) != 0) throw Error::fromErrno("chmod", path);
  return file;
}

// Unlinks the file if nobody is attached to it. LOCK_EX through an attached description converts
// its own LOCK_SH, which fails exactly when another attachment exists.
bool unlinkIfAlone(const std::string& path, int fd) {
  if (flock(fd, LOCK_EX | LOCK_NB) != 0) return false;
  return nameLeadsTo(path, fd) && ::unlink(path.c_str()) == 0;
}

// The segments that this process is attached to. process.exit() ends Node without cleaning up its
// environments, so that no destructor runs: what is left here then is left at exit().
class OpenSegments {
 public:
  static OpenSegments& instance() {
    // Never destroyed: a worker's thread may end after the static destructors have run.
    static OpenSegments* all = [] {
      std::atexit([] { instance().leaveAll(); });
      return new OpenSegments();
    }();
    return *all;
  }

  void add(Segment* segment) {
    const std::lock_guard lock(mutex_);
    segments_.insert(segment);
  }

  void remove(Segment* segment) {
    const std::lock_guard lock(mutex_);
    segments_.erase(segment);
  }

 private:
  void leaveAll() {
    const std::lock_guard lock(mutex_);
    for (Segment* segment : segments_) segment->leave();
  }

  std::mutex mutex_;
  std::set<Segment*> segments_;
};

std::vector<std::string> namesOfSegments() {
  std::vector<std::string> names;
  DIR* folder = opendir(kFolder);
  if (folder == nullptr) throw Error::fromErrno("opendir", kFolder);
  while (const dirent* entry = readdir(folder)) {
    if (strncmp(entry->d_name, kPrefix, strlen(kPrefix)) == 0)
      names.emplace_back(entry->d_name + strlen(kPrefix));
  }
  closedir(folder);
  return names;
}

// Opens a file of this user by its name, not following links; invalid where there is none such.
Descriptor openOwn(const std::string& path, int flags) {
  Descriptor file(::open(path.c_str(), flags | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  struct stat status{};
  const bool own = file.get() >= 0 && fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                   status.st_uid == geteuid();
  return own ? std::move(file) : Descriptor(-1);
}

}  // namespace

void checkSegmentName(const std::string& name) {
  const bool fits = !name.empty() && name.size() <= kMaxNameLength && name[0] != '.';
  const bool plain =
      name.find_first_not_of("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
      std::string::npos;
  if (fits && plain) return;
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

std::unique_ptr<Segment> Segment::create(const std::string& name, SegmentKind kind,
                                         uint64_t data_bytes) {
  checkSegmentName(name);
  const std::string path = pathOf(name);
  checkRoom(data_bytes, path);
  sweep();
  for (int attempt = 0; attempt < kCreateAttempts; attempt++) {
    std::optional<Descriptor> file = createLocked(path);
    if (!file) continue;
    try {
      if (ftruncate(file->get(), static_cast<off_t>(kSegmentHeaderBytes + data_bytes)) != 0)
        throw Error::fromErrno("ftruncate", path);
      writeHeader(file->get(), {0, kSegmentLayoutVersion, static_cast<uint32_t>(kind), data_bytes},
                  path);
    } catch (...) {
      unlinkIfAlone(path, file->get());
      throw;
    }
    return std::unique_ptr<Segment>(new Segment(name, file->release(), data_bytes));
  }
  throw Error(ErrorCode::ERR_BUSY, path + " was taken away each time it was made");
}

std::unique_ptr<Segment> Segment::open(const std::string& name, SegmentKind kind, bool read_only) {
  checkSegmentName(name);
  const std::string path = pathOf(name);
  Descriptor file(
      ::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (file.get() < 0) throw Error::fromErrno("open", path);
  struct stat status{};
  if (fstat(file.get(), &status) != 0) throw Error::fromErrno("fstat", path);
  if (status.st_uid != geteuid())
    throw Error(ErrorCode::ERR_DENIED, path + " belongs to another user");
  // A lock that is refused is a sweeper's or the last owner's on its way out: the segment is gone.
  if (flock(file.get(), LOCK_SH | LOCK_NB) != 0 || !nameLeadsTo(path, file.get()))
    throw Error(ErrorCode::ERR_GONE, path + " was just removed: nobody was attached to it");
  SegmentHeader header{};
  if (!S_ISREG(status.st_mode) || !readHeader(file.get(), header))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is no segment of this version of memdrift");
  if (header.kind != static_cast<uint32_t>(kind))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is a segment of another kind");
  if (static_cast<uint64_t>(status.st_size) < kSegmentHeaderBytes ||
      static_cast<uint64_t>(status.st_size) - kSegmentHeaderBytes < header.data_bytes)
    throw Error(ErrorCode::ERR_MALFORMED, path + " is shorter than its header says");
  return std::unique_ptr<Segment>(new Segment(name, file.release(), header.data_bytes));
}

Segment::~Segment() {
  OpenSegments::instance().remove(this);
  leave();
  close(fd_);
}

void Segment::leave() noexcept {
  if (getpid() == owner_pid_) unlinkIfAlone(path_, fd_);
}

void Segment::unlink(const std::string& name) {
  checkSegmentName(name);
  const std::string path = pathOf(name);
  if (::unlink(path.c_str()) != 0) throw Error::fromErrno("unlink", path);
}

std::vector<SegmentInfo> Segment::list() {
  std::vector<SegmentInfo> infos;
  for (const std::string& name : namesOfSegments()) {
    const std::string path = pathOf(name);
    const Descriptor file = openOwn(path, O_RDONLY);
    SegmentHeader header{};
    struct stat status{};
    if (file.get() < 0 || !readHeader(file.get(), header) || fstat(file.get(), &status) != 0)
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
    const Descriptor file = openOwn(path, O_RDWR);
    if (file.get() >= 0 && unlinkIfAlone(path, file.get())) swept.push_back(name);
  }
  return swept;
}

void Segment::reserve(uint64_t offset, uint64_t bytes) {
  int result;
  do {
    result = fallocate(fd_, 0, static_cast<off_t>(offset), static_cast<off_t>(bytes));
  } while (result != 0 && errno == EINTR);
  if (result == 0) return;
  const int error_number = errno;
  struct statvfs file_system{};
  uint64_t free_bytes = 0;
  if (statvfs(kFolder, &file_system) == 0)
    free_bytes = uint64_t{file_system.f_bavail} * file_system.f_frsize;
  if (error_number != ENOSPC) throw Error::fromErrno("fallocate", path_, error_number);
  throw Error(ErrorCode::ERR_FULL,
              "/dev/shm is full: " + std::to_string(bytes) + " bytes were asked for in " + path_ +
                  ", " + std::to_string(free_bytes) +
                  " are free; release objects, or mount it larger",
              error_number);
}

uint64_t Segment::residentBytes() const {
  struct stat status{};
  if (fstat(fd_, &status) != 0) throw Error::fromErrno("fstat", path_);
  return uint64_t{512} * static_cast<uint64_t>(status.st_blocks);
}

}  // namespace memdrift
