// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "capture/capture_reader.h"
#include "capture/crc32c.h"
#include "errors.h"

namespace memdrift {

namespace {

// Most frames are far smaller than this; the buffer grows for one that is not.
constexpr size_t kReadBytes = 1 << 20;

int openCapture(const std::string& path, uint64_t& size) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  if (fd < 0) throw Error::fromErrno("open", path);
  struct stat status;
  const bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  if (is_file && status.st_size >= static_cast<off_t>(sizeof(CaptureHeader))) {
    size = static_cast<uint64_t>(status.st_size);
    return fd;
  }
  close(fd);
  throw Error(ErrorCode::ERR_MALFORMED,
              path + " is not a capture: " + (is_file ? "it is too short" : "it is not a file"));
}

// A writer may be in the middle of writing it.
constexpr int kHeaderReads = 100;

CaptureHeader readHeader(int fd) {
  CaptureHeader header = {};
  for (int i = 0; i < kHeaderReads; i++) {
    const ssize_t got = pread(fd, &header, sizeof header, 0);
    if (got == static_cast<ssize_t>(sizeof header) &&
        header.crc == crc32c(&header, offsetof(CaptureHeader, crc)))
      break;
  }
  return header;
}

CaptureHeader checkedHeader(int fd, const std::string& path) {
  const CaptureHeader header = readHeader(fd);
  if (header.magic != kCaptureMagic)
    throw Error(ErrorCode::ERR_MALFORMED, path + " is not a capture: it begins otherwise");
  if (header.version != kCaptureVersion || header.header_bytes != sizeof header)
    throw Error(ErrorCode::ERR_UNSUPPORTED,
                path + " is a capture of format version " + std::to_string(header.version) +
                    "; this memdrift reads version " + std::to_string(kCaptureVersion));
  if (header.crc != crc32c(&header, offsetof(CaptureHeader, crc)))
    throw Error(ErrorCode::ERR_MALFORMED, path + " is a capture with a damaged header");
  return header;
}

}  // namespace

// Read, not mapped: of a file that is cut meanwhile a mapping would be SIGBUS, and of a large one
// all that was read would stay resident.
FrameReader::FrameReader(const std::string& path) : fd_(openCapture(path, size_)) {
  try {
    header_ = checkedHeader(fd_, path);
  } catch (...) {
    close(fd_);
    throw;
  }
  // Read again: a running writer updates the header with the file's size.
  struct stat status;
  if (fstat(fd_, &status) == 0) size_ = static_cast<uint64_t>(status.st_size);
  buffer_.resize(std::min<uint64_t>(kReadBytes, size_));
  at_ = sizeof header_;
}

FrameReader::~FrameReader() { close(fd_); }

// Of the file, until the next call; fewer where it has no more.
std::string_view FrameReader::bytes(uint64_t at, size_t count) {
  if (at < begin_ || at + count > begin_ + held_) fill(at, count);
  const uint64_t end = std::min(at + count, begin_ + held_);
  return {buffer_.data() + (at - begin_), static_cast<size_t>(end - at)};
}

void FrameReader::fill(uint64_t at, size_t count) {
  // What is there already moves to the front.
  const size_t kept = at >= begin_ && at < begin_ + held_ ? begin_ + held_ - at : 0;
  memmove(buffer_.data(), buffer_.data() + (held_ - kept), kept);
  if (buffer_.size() < count) buffer_.resize(count);
  begin_ = at;
  held_ = kept;
  while (held_ < buffer_.size()) {
    const ssize_t got = pread(fd_, buffer_.data() + held_, buffer_.size() - held_,
                              static_cast<off_t>(begin_ + held_));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) damage_ = std::string("it cannot be read: ") + strerror(errno);
    if (got <= 0) return;
    held_ += static_cast<size_t>(got);
  }
}

std::optional<FrameReader::Frame> FrameReader::next() {
  // The size as it was at the beginning: what is written since is of the next look.
  if (is_cut_ || !damage_.empty()) return std::nullopt;
  FrameHeader header;
  if (bytes(at_, sizeof header).size() < sizeof header || size_ - at_ < sizeof header)
    return endOfFile();
  memcpy(&header, bytes(at_, sizeof header).data(), sizeof header);
  if (header.payload_bytes > kMaxPayloadBytes) {
    damage_ = "a frame is said to be larger than any is";
    return std::nullopt;
  }
  const uint64_t frame_bytes = sizeof header + header.payload_bytes;
  const std::string_view frame = bytes(at_, frame_bytes);
  if (frame.size() < frame_bytes || size_ - at_ < frame_bytes) return endOfFile();
  if (!damage_.empty()) return std::nullopt;
  const std::string_view payload = frame.substr(sizeof header);
  if (crc32c(payload.data(), payload.size(), crc32c(&header, offsetof(FrameHeader, crc))) !=
      header.crc) {
    damage_ = "a frame's sum is not that of its bytes";
    return std::nullopt;
  }
  at_ += frame_bytes;
  return Frame{static_cast<FrameType>(header.type), header.stream, payload};
}

// A write that SIGKILL ended leaves part of a frame after the last whole one; a file that ends
// before that was cut by something else.
std::optional<FrameReader::Frame> FrameReader::endOfFile() {
  is_cut_ = true;
  const uint64_t whole_bytes = stateOf(header_).whole_bytes;
  if (damage_.empty() && at_ < whole_bytes)
    damage_ = "the file ends here, and " + std::to_string(whole_bytes) + " bytes were written";
  return std::nullopt;
}

}  // namespace memdrift
