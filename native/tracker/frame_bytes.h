// SPDX-License-Identifier: MIT
// Bytes of an object's tables of frames, read in hooks while another thread may unload the object.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>

#include "objects/loaded_object.h"

namespace memdrift {

// A mapping of our own of the file's segment with the tables, which stays when the object is
// unloaded.
class FrameView {
 public:
  // Maps the tables of `object`; returns null when `path` cannot be read or is not the file that
  // `object` was loaded from. Call it inside dl_iterate_phdr's callback. Takes 20 us and no memory
  // of its own.
  static std::unique_ptr<const FrameView> open(const LoadedObject& object, const std::string& path);
  ~FrameView();
  FrameView(const FrameView&) = delete;
  FrameView& operator=(const FrameView&) = delete;

  // Returns the mapped bytes as addresses in the object.
  Range range() const noexcept { return range_; }
  const uint8_t* data() const noexcept { return data_; }

 private:
  FrameView() = default;

  Range range_;
  const uint8_t* data_ = nullptr;  // at range_.begin
  void* pages_ = nullptr;
  size_t page_bytes_ = 0;
};

// Reads by address in the object: from a view, or else through the kernel, which refuses unmapped
// addresses. A read through the kernel takes about 0.3 us.
class FrameBytes {
 public:
  explicit FrameBytes(const FrameView* view) noexcept
      : range_(view ? view->range() : Range{}), data_(view ? view->data() : nullptr) {}
  // Reads `data` as if it were at `range`. For tests and fuzzers.
  FrameBytes(const Range& range, const uint8_t* data) noexcept : range_(range), data_(data) {}

  // Returns false and writes zeros when not all bytes can be read; hasFailed() is true from then
  // on.
  bool read(uintptr_t at, void* to, size_t bytes) noexcept {
    if (data_) [[likely]] {
      if (at - range_.begin < range_.end - range_.begin && bytes <= range_.end - at) {
        memcpy(to, data_ + (at - range_.begin), bytes);
        return true;
      }
      return fail(to, bytes);
    }
    return readByKernel(at, to, bytes);
  }
  // Makes hasFailed() true, as a failed read does.
  void fail() noexcept { has_failed_ = true; }
  bool hasFailed() const noexcept { return has_failed_; }

 private:
  static constexpr size_t kWindowBytes = 256;

  bool readByKernel(uintptr_t at, void* to, size_t bytes) noexcept;
  bool fill(uintptr_t at) noexcept;
  bool fail(void* to, size_t bytes) noexcept {
    memset(to, 0, bytes);
    has_failed_ = true;
    return false;
  }

  Range range_;
  const uint8_t* data_;
  bool has_failed_ = false;
  Range in_window_;
  uint8_t window_[kWindowBytes];
};

}  // namespace memdrift
