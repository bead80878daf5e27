// SPDX-License-Identifier: MIT
// A POSIX shared-memory file and who is attached to it.
//
// Liveness is a lock that the kernel drops at death, not a process id: ids lie where containers
// share /dev/shm. Every attachment has an open file description of its own with flock(LOCK_SH); who
// gets LOCK_EX | LOCK_NB knows that nobody is attached, and may unlink. Nothing here ever waits for
// a lock.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace memdrift {

// What a segment is used for; stored in its header, so that a flag is not opened as a store.
enum class SegmentKind : uint32_t { kPlain = 1, kFlag = 2, kStore = 3 };

// The first page of the file. Written once, before the file has a name; readers copy and check it
// before they use it.
struct SegmentHeader {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t kind;
  uint64_t data_bytes;
};
static_assert(sizeof(SegmentHeader) == 24);

inline constexpr uint64_t kSegmentMagic = 0x3174666972646d6d;  // "mmdrift1", little-endian
inline constexpr uint32_t kSegmentLayoutVersion = 3;
inline constexpr size_t kSegmentHeaderBytes = 4096;

struct SegmentInfo {
  std::string name;
  std::string path;
  SegmentKind kind;
  uint64_t inode;
  uint64_t data_bytes;
  uint64_t resident_bytes;
};

class Segment;

struct SegmentRequest {
  std::string name;
  SegmentKind kind;
  uint64_t data_bytes;
  // Writes the first contents. Runs before the name appears, so that nobody opens what is half made
  // and a creator that dies in it leaves nothing.
  std::function<void(Segment&)> prepare;
  // Of data_bytes, what has pages only where it is used: the rest must fit into /dev/shm.
  uint64_t sparse_bytes = 0;
};

class Segment {
 public:
  // Makes /dev/shm/memdrift.<name> of `data_bytes` behind the header page: 0600, never in place of
  // another file, sized once and never shrunk, so that no mapping of it can get SIGBUS by
  // truncation. No page of the data is allocated; who maps it calls reserve() or reserveAll()
  // first. Sweeps what dead processes left before it. Throws ERR_EXISTS, ERR_INVALID (name),
  // ERR_FULL (more than the file system's size), ERR_SYSTEM, and what `prepare` throws.
  static std::unique_ptr<Segment> create(const SegmentRequest& request);

  // Attaches to an existing segment of this user. `read_only` opens without the right to write.
  // Throws ERR_GONE, ERR_DENIED (of another user), ERR_MALFORMED (not ours, or not of this kind).
  static std::unique_ptr<Segment> open(const std::string& name, SegmentKind kind,
                                       bool read_only = false);

  // Detaches; the last one out unlinks the file.
  ~Segment();
  Segment(const Segment&) = delete;
  Segment& operator=(const Segment&) = delete;

  // Removes the name now; those attached keep the memory. Throws ERR_GONE, ERR_DENIED.
  static void unlink(const std::string& name);
  // The segments of this user, by their headers.
  static std::vector<SegmentInfo> list();
  // Unlinks the segments of this user that nobody is attached to; returns their names. What is no
  // segment stays, whatever its name.
  static std::vector<std::string> sweep();

  // Allocates the pages of [offset, offset + bytes) of the file, keeping what they hold. Throws
  // ERR_FULL with nothing allocated that was not before the call. Signals to this thread wait.
  void reserve(uint64_t offset, uint64_t bytes);
  // Allocates what the whole file lacks; O(1) where it lacks nothing. Throws ERR_FULL or
  // ERR_NO_MEMORY before anything is allocated when the file system or the machine has less.
  void reserveAll();

  int fd() const noexcept { return fd_; }
  const std::string& name() const noexcept { return name_; }
  const std::string& path() const noexcept { return path_; }
  uint64_t dataBytes() const noexcept { return data_bytes_; }
  // What the destructor does to the name, for an end of the process that runs no destructor.
  void leave() noexcept;
  // Bytes of pages that the file has: st_blocks, exact, O(1).
  uint64_t residentBytes() const;

 private:
  Segment(std::string name, int fd, uint64_t data_bytes);
  uint64_t fileBytes() const noexcept { return kSegmentHeaderBytes + data_bytes_; }

  std::string name_;
  std::string path_;
  int fd_;
  uint64_t data_bytes_;
  // A child after fork() has a copy of this object and shares its descriptor's lock, but the
  // attachment is the parent's.
  pid_t owner_pid_;
};

// Throws ERR_INVALID unless `name` is 1 to 200 of A-Z a-z 0-9 . _ - and does not begin with a dot.
void checkSegmentName(const std::string& name);

}  // namespace memdrift
