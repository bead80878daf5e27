// SPDX-License-Identifier: MIT
// One object that the dynamic linker has loaded, as its program headers and dynamic section say.
#pragma once

#include <elf.h>
#include <link.h>

#include <cstddef>
#include <cstdint>

namespace memdrift {

struct Range {
  uintptr_t begin = 0;
  uintptr_t end = 0;
  bool contains(uintptr_t at) const noexcept { return at - begin < end - begin; }
};

struct Relocations {
  const Elf64_Rela* first = nullptr;
  size_t count = 0;
};

// Views into the object itself: of use while it is loaded, that is inside dl_iterate_phdr's
// callback, or for as long as somebody else keeps it.
struct LoadedObject {
  explicit LoadedObject(const dl_phdr_info& info) noexcept;

  const char* symbolName(const Elf64_Rela& relocation) const noexcept {
    return strings + symbols[ELF64_R_SYM(relocation.r_info)].st_name;
  }
  bool definesSymbol(const Elf64_Rela& relocation) const noexcept {
    return symbols[ELF64_R_SYM(relocation.r_info)].st_shndx != SHN_UNDEF;
  }

  const char* name;  // empty: the executable
  uintptr_t base;    // what is added to addresses in the file
  Range image;       // from the lowest segment's page to the highest one's
  Range text;        // the executable segment
  uint64_t text_file_offset = 0;
  Range relro;  // made read-only after relocation
  const uint8_t* eh_frame_hdr = nullptr;
  const uint8_t* build_id = nullptr;
  size_t build_id_bytes = 0;
  Relocations lazy;   // DT_JMPREL
  Relocations eager;  // DT_RELA

 private:
  void readDynamic(const Elf64_Dyn* entry) noexcept;
  void readNotes(uintptr_t at, size_t size) noexcept;

  const Elf64_Sym* symbols = nullptr;
  const char* strings = nullptr;
};

}  // namespace memdrift
