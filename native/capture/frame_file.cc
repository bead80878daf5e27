// SPDX-License-Identifier: MIT
#include "capture/frame_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "capture/crc32c.h"
#include "capture/descriptors.h"
#include "errors.h"

namespace memdrift {

namespace {

// Beyond it the file is written in the middle of a drain; a frame that is larger goes alone.
constexpr size_t kBufferBytes = 1 << 20;
constexpr size_t kEndFrameBytes = sizeof(FrameHeader) + sizeof(EndPayload);

}  // namespace

int createCaptureFile(const std::string& path) {
  const int fd = open(path.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC | O_NOCTTY, 0600);
  if (fd < 0) throw Error::fromErrno("creation", path);
  return fd;
}

CaptureHeader sealHeader(CaptureHeader header) noexcept {
  header.magic = kCaptureMagic;
  header.version = kCaptureVersion;
  header.header_bytes = sizeof header;
  header.crc = crc32c(&header, offsetof(CaptureHeader, crc));
  return header;
}

FrameFile::FrameFile(int fd, uint64_t max_bytes)
    : fd_(fd),
      max_bytes_(max_bytes),
      pages_(kBufferBytes + kMaxPayloadBytes),
      buffer_(pages_.as<char>()) {}

FrameFile::~FrameFile() {
  if (guarded_path_.empty() || isOurs()) close(fd_);
}

void FrameFile::guard(const std::string& path) {
  struct stat now;
  if (fstat(fd_, &now) != 0) return;
  device_ = now.st_dev;
  inode_ = now.st_ino;
  guarded_path_ = path;
  fd_ = moveAway(fd_);
}

bool FrameFile::isOurs() const noexcept {
  struct stat now;
  // The size too, since a new file may reuse the inode number of a removed one.
  return fstat(fd_, &now) == 0 && now.st_dev == device_ && now.st_ino == inode_ &&
         now.st_size == static_cast<off_t>(written_);
}

bool FrameFile::reopen() noexcept {
  // The old number is not closed: it is the program's now.
  fd_ = open(guarded_path_.c_str(), O_WRONLY | O_CLOEXEC | O_NOCTTY | O_NOFOLLOW);
  if (fd_ < 0) return false;
  if (isOurs() && lseek(fd_, static_cast<off_t>(written_), SEEK_SET) >= 0) {
    fd_ = moveAway(fd_);
    return true;
  }
  close(fd_);
  fd_ = -1;
  return false;
}

void FrameFile::append(std::string_view bytes) {
  if (bytes.empty()) return;  // from nowhere
  memcpy(&buffer_[used_], bytes.data(), bytes.size());
  used_ += bytes.size();
}

bool FrameFile::begin(const CaptureHeader& header) {
  header_ = header;
  append({reinterpret_cast<const char*>(&header), sizeof header});
  return flush();
}

bool FrameFile::add(const FrameKey& key, const FramePayload& payload) {
  const size_t frame_bytes = sizeof(FrameHeader) + payload.fixed.size() + payload.rest.size();
  if (max_bytes_ != 0 && bytes() + frame_bytes + kEndFrameBytes > max_bytes_) is_full_ = true;
  return !is_full_ && appendFrame(key, payload);
}

bool FrameFile::addEnd(const EndPayload& end) {
  if (!appendFrame({FrameType::end}, payloadOf(end)) || !flush()) return false;
  tellState(end.reason);
  return true;
}

bool FrameFile::appendFrame(const FrameKey& key, const FramePayload& payload) {
  const size_t payload_bytes = payload.fixed.size() + payload.rest.size();
  if (payload_bytes > kMaxPayloadBytes) return true;  // no reader would take it
  if (error_number_ != 0) return false;
  if (used_ + sizeof(FrameHeader) + payload_bytes > kBufferBytes && !flush()) return false;
  FrameHeader header = {static_cast<uint32_t>(key.type), static_cast<uint32_t>(payload_bytes),
                        key.stream, 0};
  header.crc = crc32c(&header, offsetof(FrameHeader, crc));
  header.crc = crc32c(payload.fixed.data(), payload.fixed.size(), header.crc);
  header.crc = crc32c(payload.rest.data(), payload.rest.size(), header.crc);
  append({reinterpret_cast<const char*>(&header), sizeof header});
  append(payload.fixed);
  append(payload.rest);
  return true;
}

bool FrameFile::flush() {
  if (error_number_ != 0) return false;
  if (!guarded_path_.empty() && !isOurs() && !reopen()) {
    error_number_ = EBADF;
    used_ = 0;
    return false;
  }
  for (size_t done = 0; done < used_;) {
    const ssize_t wrote = write(fd_, &buffer_[done], used_ - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote <= 0) {
      error_number_ = wrote < 0 ? errno : ENOSPC;
      undo(done);
      return false;
    }
    done += static_cast<size_t>(wrote);
  }
  written_ += used_;
  used_ = 0;
  tellState(0);
  return true;
}

// Writes in place, which needs no room on a full disk. A reader that meets it half written reads
// again.
void FrameFile::tellState(uint32_t end_reason) noexcept {
  if (written_ == 0 || (!guarded_path_.empty() && !isOurs())) return;
  setState(header_, {written_, end_reason});
  header_ = sealHeader(header_);
  const ssize_t wrote = pwrite(fd_, &header_, sizeof header_, 0);
  static_cast<void>(wrote);  // without it a reader knows less, but nothing false
}

void FrameFile::undo(size_t written) {
  const uint64_t whole = written_ + wholeBytes(written);
  // A device or a pipe cannot be cut; its reader sees a frame that is cut off.
  if (ftruncate(fd_, static_cast<off_t>(whole)) == 0) written_ = whole;
  used_ = 0;
  tellState(static_cast<uint32_t>(EndReason::write_failed));
}

// Bytes of whole frames in the first `bytes` of the buffer.
size_t FrameFile::wholeBytes(size_t bytes) const {
  if (written_ == 0) return bytes < sizeof(CaptureHeader) ? 0 : bytes;
  for (size_t at = 0;;) {
    FrameHeader header;
    if (bytes - at < sizeof header) return at;
    memcpy(&header, &buffer_[at], sizeof header);
    if (bytes - at - sizeof header < header.payload_bytes) return at;
    at += sizeof header + header.payload_bytes;
  }
}

}  // namespace memdrift
