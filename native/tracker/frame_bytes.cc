// SPDX-License-Identifier: MIT
#include "tracker/frame_bytes.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <vector>

namespace memdrift {

namespace {

// Uses bare system calls: glibc's wrappers are cancellation points, and this runs within the
// program's own dlopen.
class ObjectFile {
 public:
  explicit ObjectFile(const char* path) noexcept
      : fd_(static_cast<int>(
            syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK))) {}
  ~ObjectFile() {
    if (fd_ >= 0) syscall(SYS_close, fd_);
  }
  ObjectFile(const ObjectFile&) = delete;
  ObjectFile& operator=(const ObjectFile&) = delete;

  int fd() const noexcept { return fd_; }
  bool has(uint64_t offset, uint64_t bytes) const noexcept {
    struct stat about = {};
    return fd_ >= 0 && fstat(fd_, &about) == 0 && S_ISREG(about.st_mode) &&
           offset + bytes <= static_cast<uint64_t>(about.st_size);
  }
  bool read(void* to, size_t bytes, uint64_t offset) const noexcept {
    return syscall(SYS_pread64, fd_, to, bytes, offset) == static_cast<long>(bytes);
  }

 private:
  int fd_;
};

// The path may name another file by now.
bool isOf(const ObjectFile& file, const LoadedObject& object) {
  Elf64_Ehdr header = {};
  if (!file.has(0, sizeof header) || !file.read(&header, sizeof header, 0)) return false;
  const size_t bytes = object.header_count * sizeof(Elf64_Phdr);
  if (header.e_phnum != object.header_count || header.e_phentsize != sizeof(Elf64_Phdr) ||
      !file.has(header.e_phoff, bytes))
    return false;
  std::vector<Elf64_Phdr> headers(object.header_count);
  return file.read(headers.data(), bytes, header.e_phoff) &&
         memcmp(headers.data(), object.headers, bytes) == 0;
}

constexpr size_t kMostCompared = 4096;

}  // namespace

std::unique_ptr<const FrameView> FrameView::open(const LoadedObject& object,
                                                 const std::string& path) {
  const Range header = object.eh_frame_hdr;
  const Elf64_Phdr* segment = object.segmentOf(header.begin);
  if (header.begin == header.end || !segment) return nullptr;
  const ObjectFile file(path.c_str());
  if (!isOf(file, object) || !file.has(segment->p_offset, segment->p_filesz)) return nullptr;
  const auto page = static_cast<uint64_t>(sysconf(_SC_PAGESIZE));
  const uint64_t before = segment->p_offset % page;
  std::unique_ptr<FrameView> view(new FrameView);
  view->page_bytes_ = segment->p_filesz + before;
  view->pages_ = mmap(nullptr, view->page_bytes_, PROT_READ, MAP_PRIVATE, file.fd(),
                      static_cast<off_t>(segment->p_offset - before));
  if (view->pages_ == MAP_FAILED) return nullptr;
  view->data_ = static_cast<const uint8_t*>(view->pages_) + before;
  view->range_.begin = object.base + segment->p_vaddr;
  view->range_.end = view->range_.begin + segment->p_filesz;
  const size_t compared = std::min<size_t>(header.end - header.begin, kMostCompared);
  if (header.begin + compared > view->range_.end ||
      memcmp(view->data_ + (header.begin - view->range_.begin),
             reinterpret_cast<const void*>(header.begin), compared) != 0)
    return nullptr;
  return view;
}

FrameView::~FrameView() {
  if (pages_ && pages_ != MAP_FAILED) munmap(pages_, page_bytes_);
}

bool FrameBytes::readByKernel(uintptr_t at, void* to, size_t bytes) noexcept {
  auto* out = static_cast<uint8_t*>(to);
  for (size_t done = 0; done < bytes;) {
    if (!in_window_.contains(at + done) && !fill(at + done)) return fail(to, bytes);
    const size_t offset = at + done - in_window_.begin;
    const size_t part = std::min(bytes - done, in_window_.end - in_window_.begin - offset);
    memcpy(out + done, window_ + offset, part);
    done += part;
  }
  return true;
}

// Stays within the page of `at`: the next one may be unmapped.
bool FrameBytes::fill(uintptr_t at) noexcept {
  constexpr uintptr_t kPageBytes = 4096;
  const size_t bytes = std::min<size_t>(kWindowBytes, kPageBytes - at % kPageBytes);
  const iovec here = {window_, bytes};
  const iovec there = {reinterpret_cast<void*>(at), bytes};
  in_window_ = {};
  // A filter of system calls may end the process for one that no program makes.
  if (prctl(PR_GET_SECCOMP) != 0) return false;
  const int before = errno;
  const long copied = syscall(SYS_process_vm_readv, getpid(), &here, 1, &there, 1, 0);
  errno = before;
  if (copied != static_cast<long>(bytes)) return false;
  in_window_ = {at, at + bytes};
  return true;
}

}  // namespace memdrift
