// SPDX-License-Identifier: MIT
// Memory of ours that is not the program's malloc's. A large block taken there would, once it is
// freed, change from which size on the program's own blocks are mappings (mallopt(3),
// M_MMAP_THRESHOLD), and with that what the program keeps.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <mutex>
#include <utility>
#include <vector>

#include "errors.h"

namespace memdrift {

// Pages of zeros, taken when they are first written. All of them are known, so that they have a
// row.
class OwnPages {
 public:
  // Throws ERR_SYSTEM.
  explicit OwnPages(size_t bytes) : bytes_(bytes) {
    constexpr int kFlags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    data_ = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, kFlags, -1, 0);
    if (data_ == MAP_FAILED) throw Error::fromErrno("mmap", "the capture's buffers");
    const std::lock_guard hold(lock_);
    all_.emplace_back(data_, bytes);
  }
  ~OwnPages() {
    {
      const std::lock_guard hold(lock_);
      std::erase(all_, std::pair<const void*, size_t>(data_, bytes_));
    }
    munmap(data_, bytes_);
  }
  OwnPages(const OwnPages&) = delete;
  OwnPages& operator=(const OwnPages&) = delete;

  template <typename T>
  T* as() const noexcept {
    return static_cast<T*>(data_);
  }

  // Of the whole process: address and bytes of each.
  template <typename F>
  static void forEach(F&& f) {
    const std::lock_guard hold(lock_);
    for (const auto& [data, bytes] : all_) f(data, bytes);
  }

 private:
  inline static std::mutex lock_;
  inline static std::vector<std::pair<const void*, size_t>> all_;

  void* data_;
  size_t bytes_;
};

}  // namespace memdrift
