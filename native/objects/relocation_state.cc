// SPDX-License-Identifier: MIT
#include "objects/relocation_state.h"

#include <dlfcn.h>
#include <unistd.h>

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace memdrift {

namespace {

// glibc's struct dl_find_object, from its manual. Declared here because the headers of older
// systems lack it.
struct DlFindObject {
  unsigned long long flags;
  void* map_start;
  void* map_end;
  void* link_map;
  void* eh_frame;
  unsigned long long reserved[7];
};
static_assert(sizeof(DlFindObject) == 96);

using FindObject = int (*)(void*, DlFindObject*);

FindObject index() noexcept {
  static const auto function = reinterpret_cast<FindObject>(dlsym(RTLD_DEFAULT, "_dl_find_object"));
  return function;
}

// Looked up at load: hooks use the index too, and a first dlsym() there would take locks.
const FindObject g_index_at_load = index();

}  // namespace

bool hasObjectIndex() noexcept { return g_index_at_load != nullptr; }

bool findObject(uintptr_t at, FoundObject& found) noexcept {
  DlFindObject answer = {};
  if (!g_index_at_load || g_index_at_load(reinterpret_cast<void*>(at), &answer) != 0) return false;
  found.image = {reinterpret_cast<uintptr_t>(answer.map_start),
                 reinterpret_cast<uintptr_t>(answer.map_end)};
  found.eh_frame_hdr = reinterpret_cast<uintptr_t>(answer.eh_frame);
  return true;
}

RelocationState::RelocationState(bool use_index) : use_index_(use_index) {}

bool RelocationState::isRelocated(const dl_phdr_info& info) {
  for (int i = 0; i < info.dlpi_phnum; i++) {
    const Elf64_Phdr& header = info.dlpi_phdr[i];
    const uintptr_t begin = info.dlpi_addr + header.p_vaddr;
    if (use_index_) {
      FoundObject found;
      if (header.p_type == PT_LOAD && header.p_memsz != 0) return findObject(begin, found);
    } else if (header.p_type == PT_GNU_RELRO) {
      const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE));
      const Range pages = {begin & ~(page - 1), (begin + header.p_memsz) & ~(page - 1)};
      if (pages.begin < pages.end) return isProtected(pages);
    }
  }
  // An object without RELRO counts as relocated: of its words only those that hold their final
  // value are changed, and no protection.
  return !use_index_;
}

// RELRO pages that are read-only stay so: an early read of the mappings can miss an object, but not
// take an unready one for ready.
bool RelocationState::isProtected(const Range& pages) {
  if (!has_read_) {
    has_read_ = true;
    FILE* const maps = fopen("/proc/self/maps", "re");
    if (!maps) {
      writable_ = {{0, UINTPTR_MAX}};  // no page is known to be read-only
    } else {
      char line[512];
      uintptr_t begin = 0, end = 0;
      char access[5] = "";
      while (fgets(line, sizeof line, maps))
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &begin, &end, access) == 3 &&
            access[1] == 'w')
          writable_.push_back({begin, end});
      fclose(maps);
    }
  }
  const auto next = std::upper_bound(writable_.begin(), writable_.end(), pages.begin,
                                     [](uintptr_t at, const Range& one) { return at < one.end; });
  return next == writable_.end() || next->begin >= pages.end;
}

}  // namespace memdrift
