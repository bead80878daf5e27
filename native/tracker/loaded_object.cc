// SPDX-License-Identifier: MIT
#include "tracker/loaded_object.h"

#include <algorithm>
#include <cstring>

namespace memdrift {

namespace {

constexpr uintptr_t kPageBytes = 4096;

uintptr_t pageDown(uintptr_t at) { return at & ~(kPageBytes - 1); }
uintptr_t pageUp(uintptr_t at) { return pageDown(at + kPageBytes - 1); }

}  // namespace

LoadedObject::LoadedObject(const dl_phdr_info& info) noexcept
    : name(info.dlpi_name ? info.dlpi_name : ""), base(info.dlpi_addr) {
  image = {UINTPTR_MAX, 0};
  for (int i = 0; i < info.dlpi_phnum; i++) {
    const Elf64_Phdr& header = info.dlpi_phdr[i];
    const uintptr_t begin = base + header.p_vaddr;
    const uintptr_t end = begin + header.p_memsz;
    if (header.p_type == PT_LOAD) {
      image.begin = std::min(image.begin, pageDown(begin));
      image.end = std::max(image.end, pageUp(end));
    }
    // The widest: some linkers make more than one.
    if (header.p_type == PT_LOAD && (header.p_flags & PF_X) &&
        end - begin > text.end - text.begin) {
      text = {begin, end};
      text_file_offset = header.p_offset;
    }
    // As the dynamic linker rounds it.
    if (header.p_type == PT_GNU_RELRO) relro = {pageDown(begin), pageDown(end)};
    if (header.p_type == PT_GNU_EH_FRAME) eh_frame_hdr = reinterpret_cast<const uint8_t*>(begin);
    if (header.p_type == PT_NOTE) readNotes(begin, header.p_memsz);
    if (header.p_type == PT_DYNAMIC) readDynamic(reinterpret_cast<const Elf64_Dyn*>(begin));
  }
}

void LoadedObject::readDynamic(const Elf64_Dyn* entry) noexcept {
  // glibc has made these addresses absolute, but not in objects that it did not relocate (vdso).
  const auto absolute = [this](uintptr_t at) { return at < base ? base + at : at; };
  for (; entry->d_tag != DT_NULL; entry++) {
    const uintptr_t at = absolute(entry->d_un.d_ptr);
    switch (entry->d_tag) {
      case DT_SYMTAB:
        symbols = reinterpret_cast<const Elf64_Sym*>(at);
        break;
      case DT_STRTAB:
        strings = reinterpret_cast<const char*>(at);
        break;
      case DT_JMPREL:
        lazy.first = reinterpret_cast<const Elf64_Rela*>(at);
        break;
      case DT_RELA:
        eager.first = reinterpret_cast<const Elf64_Rela*>(at);
        break;
      case DT_PLTRELSZ:
        lazy.count = entry->d_un.d_val / sizeof(Elf64_Rela);
        break;
      case DT_RELASZ:
        eager.count = entry->d_un.d_val / sizeof(Elf64_Rela);
        break;
      default:
        break;
    }
  }
  if (!symbols || !strings || !lazy.first) lazy = {};
  if (!symbols || !strings || !eager.first) eager = {};
}

void LoadedObject::readNotes(uintptr_t at, size_t size) noexcept {
  const uintptr_t end = at + size;
  while (at + sizeof(Elf64_Nhdr) <= end) {
    const auto* note = reinterpret_cast<const Elf64_Nhdr*>(at);
    const uintptr_t text_at = at + sizeof *note;
    const uintptr_t content_at = text_at + ((note->n_namesz + 3U) & ~3U);
    if (content_at + note->n_descsz > end) return;
    const bool is_gnu =
        note->n_namesz == 4 && memcmp(reinterpret_cast<void*>(text_at), "GNU", 4) == 0;
    if (is_gnu && note->n_type == NT_GNU_BUILD_ID) {
      build_id = reinterpret_cast<const uint8_t*>(content_at);
      build_id_bytes = note->n_descsz;
    }
    at = content_at + ((note->n_descsz + 3U) & ~3U);
  }
}

}  // namespace memdrift
