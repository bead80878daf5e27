// SPDX-License-Identifier: MIT
#include "objects/loaded_object.h"

#include <algorithm>
#include <cstring>

namespace memdrift {

namespace {

constexpr uintptr_t kPageBytes = 4096;

uintptr_t pageDown(uintptr_t at) { return at & ~(kPageBytes - 1); }
uintptr_t pageUp(uintptr_t at) { return pageDown(at + kPageBytes - 1); }

}  // namespace

LoadedObject::LoadedObject(const dl_phdr_info& info) noexcept
    : name(info.dlpi_name ? info.dlpi_name : ""),
      base(info.dlpi_addr),
      headers(info.dlpi_phdr),
      header_count(info.dlpi_phnum) {
  image = {UINTPTR_MAX, 0};
  for (size_t i = 0; i < header_count; i++) {
    const Elf64_Phdr& header = headers[i];
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
    if (header.p_type == PT_GNU_EH_FRAME) eh_frame_hdr = {begin, end};
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
        symbols_ = reinterpret_cast<const Elf64_Sym*>(at);
        break;
      case DT_STRTAB:
        strings_ = reinterpret_cast<const char*>(at);
        break;
      case DT_GNU_HASH:
        gnu_hash_ = reinterpret_cast<const uint32_t*>(at);
        break;
      case DT_HASH:
        hash_ = reinterpret_cast<const uint32_t*>(at);
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
      case DT_RELACOUNT:
        relative_count = entry->d_un.d_val;
        break;
      default:
        break;
    }
  }
  if (!symbols_ || !strings_) gnu_hash_ = hash_ = nullptr;
  if (!symbols_ || !strings_ || !lazy.first) lazy = {};
  if (!symbols_ || !strings_ || !eager.first) eager = {};
  relative_count = std::min(relative_count, eager.count);
}

const Elf64_Phdr* LoadedObject::segmentOf(uintptr_t at) const noexcept {
  for (size_t i = 0; i < header_count; i++) {
    const Elf64_Phdr& header = headers[i];
    if (header.p_type == PT_LOAD && at - base - header.p_vaddr < header.p_memsz) return &header;
  }
  return nullptr;
}

bool LoadedObject::isNamed(const Elf64_Sym& symbol, const char* wanted) const noexcept {
  return strcmp(strings_ + symbol.st_name, wanted) == 0;
}

uint32_t gnuHash(const char* name) noexcept {
  uint32_t hash = 5381;
  for (; *name; name++) hash = hash * 33 + static_cast<uint8_t>(*name);
  return hash;
}

uint32_t sysvHash(const char* name) noexcept {
  uint32_t hash = 0;
  for (; *name; name++) {
    hash = (hash << 4) + static_cast<uint8_t>(*name);
    const uint32_t high = hash & 0xf0000000;
    hash ^= high >> 24;
    hash &= ~high;
  }
  return hash;
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
