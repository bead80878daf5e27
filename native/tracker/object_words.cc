// SPDX-License-Identifier: MIT
#include "tracker/object_words.h"

#include <sys/mman.h>
#include <unistd.h>

#include <atomic>

namespace memdrift {

namespace {

bool protect(const Range& pages, int protection) noexcept {
  return mprotect(reinterpret_cast<void*>(pages.begin), pages.end - pages.begin, protection) == 0;
}

int protectionOf(const Elf64_Phdr& segment) noexcept {
  return ((segment.p_flags & PF_R) ? PROT_READ : 0) | ((segment.p_flags & PF_W) ? PROT_WRITE : 0) |
         ((segment.p_flags & PF_X) ? PROT_EXEC : 0);
}

}  // namespace

uintptr_t ObjectWords::load(uintptr_t at) noexcept {
  return std::atomic_ref(*reinterpret_cast<uintptr_t*>(at)).load(std::memory_order_acquire);
}

// One store: another thread may call through this word right now.
void ObjectWords::store(uintptr_t at, uintptr_t value) noexcept {
  std::atomic_ref(*reinterpret_cast<uintptr_t*>(at)).store(value, std::memory_order_release);
}

bool ObjectWords::storeRelocated(uintptr_t at, uintptr_t value) noexcept {
  if (object_.relro.contains(at)) {
    if (!is_relro_open_ && !protect(object_.relro, PROT_READ | PROT_WRITE)) return false;
    is_relro_open_ = true;
  } else if (!object_.isWritable(at)) {
    // A word in the code: only an object with text relocations has one, and its pages are shared
    // with code that runs.
    return false;
  }
  store(at, value);
  return true;
}

bool ObjectWords::storeConstant(uintptr_t at, uintptr_t value) noexcept {
  const Elf64_Phdr* segment = object_.segmentOf(at);
  if (!segment) return false;
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
  const Range pages = {at & ~(page - 1), ((at + sizeof value - 1) & ~(page - 1)) + page};
  const int usual = protectionOf(*segment);
  if (!protect(pages, usual | PROT_WRITE)) return false;
  store(at, value);
  protect(pages, usual);
  return true;
}

void ObjectWords::closeRelro() noexcept {
  if (is_relro_open_) protect(object_.relro, PROT_READ);
  is_relro_open_ = false;
}

}  // namespace memdrift
