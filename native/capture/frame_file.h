// SPDX-License-Identifier: MIT
// A capture's file, as it is written: frames go to a buffer, and from there to the file.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "capture/format.h"
#include "capture/own_pages.h"

namespace memdrift {

// Makes a new file for a capture, 0600, never in place of another one; returns its descriptor.
// Throws ERR_EXISTS, ERR_GONE (no such folder), ERR_DENIED, ERR_FULL, ERR_SYSTEM.
int createCaptureFile(const std::string& path);

// Fills in what is the same in every header, and its sum.
CaptureHeader sealHeader(CaptureHeader header) noexcept;

struct FrameKey {
  FrameType type;
  uint32_t stream = 0;
};

// A frame's payload: a fixed part, then bytes of any length.
struct FramePayload {
  std::string_view fixed;
  std::string_view rest;
};

template <typename Fixed>
FramePayload payloadOf(const Fixed& fixed, std::string_view rest = {}) {
  return {{reinterpret_cast<const char*>(&fixed), sizeof fixed}, rest};
}

class FrameFile {
 public:
  // Owns `fd`. `max_bytes` is the whole file's, with room kept for a last frame; 0 is no limit.
  FrameFile(int fd, uint64_t max_bytes);
  // Guards a descriptor that the program can close and reuse: compares the file behind it before
  // each write, and opens `path` again when that is still the same file.
  void guard(const std::string& path);
  ~FrameFile();
  FrameFile(const FrameFile&) = delete;
  FrameFile& operator=(const FrameFile&) = delete;

  // False when the file takes no more: after an error, or because it would be too large.
  bool begin(const CaptureHeader& header);
  bool add(const FrameKey& key, const FramePayload& payload);
  // The end frame, for which there is always room.
  bool addEnd(const EndPayload& end);
  // What is in the buffer to the file. After a failure the file ends with its last whole frame.
  bool flush();

  bool isFull() const noexcept { return is_full_; }
  int errorNumber() const noexcept { return error_number_; }  // 0: none
  uint64_t bytes() const noexcept { return written_ + used_; }

 private:
  void append(std::string_view bytes);
  bool appendFrame(const FrameKey& key, const FramePayload& payload);
  size_t wholeBytes(size_t bytes) const;
  void undo(size_t written);
  void tellState(uint32_t end_reason) noexcept;
  bool isOurs() const noexcept;
  bool reopen() noexcept;

  int fd_;
  std::string guarded_path_;  // empty: the program cannot reach the descriptor
  dev_t device_ = 0;
  ino_t inode_ = 0;
  uint64_t max_bytes_;
  CaptureHeader header_ = {};
  uint64_t written_ = 0;
  size_t used_ = 0;
  int error_number_ = 0;
  bool is_full_ = false;
  OwnPages pages_;
  char* buffer_;
};

}  // namespace memdrift
