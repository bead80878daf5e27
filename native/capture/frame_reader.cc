// SPDX-License-Identifier: MIT
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>

#include "capture/capture_reader.h"
#include "capture/crc32c.h"
#include "errors.h"

namespace memdrift {

namespace {

struct File {
  const char* data;
  uint64_t size;
};

File mapFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY);
  if (fd < 0) throw Error::fromErrno("open", path);
  struct stat status;
  void* data = MAP_FAILED;
  const bool is_file = fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
  if (is_file && status.st_size >= static_cast<off_t>(sizeof(CaptureHeader)))
    data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
  close(fd);
  if (data == MAP_FAILED)
    throw Error(ErrorCode::ERR_MALFORMED,
                path + " is not a capture: " + (is_file ? "it is too short" : "it is not a file"));
  madvise(data, static_cast<size_t>(status.st_size), MADV_SEQUENTIAL);
  return {static_cast<const char*>(data), static_cast<uint64_t>(status.st_size)};
}

CaptureHeader checkedHeader(const File& file, const std::string& path) {
  CaptureHeader header;
  memcpy(&header, file.data, sizeof header);
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

FrameReader::FrameReader(const std::string& path) {
  const File file = mapFile(path);
  data_ = file.data;
  size_ = file.size;
  at_ = sizeof header_;
  try {
    header_ = checkedHeader(file, path);
  } catch (...) {
    munmap(const_cast<char*>(data_), size_);
    throw;
  }
}

FrameReader::~FrameReader() { munmap(const_cast<char*>(data_), size_); }

std::string_view FrameReader::bytes(uint64_t at, uint64_t count) const {
  if (at > size_ || count > size_ - at) return {};
  return {data_ + at, count};
}

std::optional<FrameReader::Frame> FrameReader::next() {
  if (at_ == size_ || !damage_.empty()) return std::nullopt;
  FrameHeader header;
  const std::string_view head = bytes(at_, sizeof header);
  if (head.empty()) {
    damage_ = "the head of a frame is cut off";
    return std::nullopt;
  }
  memcpy(&header, head.data(), sizeof header);
  const std::string_view payload = bytes(at_ + sizeof header, header.payload_bytes);
  if (header.payload_bytes > kMaxPayloadBytes)
    damage_ = "a frame is said to be larger than any is";
  else if (payload.size() != header.payload_bytes)
    damage_ = "a frame is cut off";
  else if (crc32c(payload.data(), payload.size(), crc32c(&header, offsetof(FrameHeader, crc))) !=
           header.crc)
    damage_ = "a frame's sum is not that of its bytes";
  if (!damage_.empty()) return std::nullopt;
  at_ += sizeof header + header.payload_bytes;
  return Frame{static_cast<FrameType>(header.type), header.stream, payload};
}

}  // namespace memdrift
