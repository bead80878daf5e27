// SPDX-License-Identifier: MIT
// One object that the dynamic linker has loaded, as its program headers and dynamic section
// describe it.
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

// Views into the object itself: valid only inside dl_iterate_phdr's callback, during which the
// dynamic linker unloads nothing.
class LoadedObject {
 public:
  explicit LoadedObject(const dl_phdr_info& info) noexcept;

  const char* symbolName(const Elf64_Rela& relocation) const noexcept {
    return strings_ + symbols_[ELF64_R_SYM(relocation.r_info)].st_name;
  }
  bool definesSymbol(const Elf64_Rela& relocation) const noexcept {
    return symbols_[ELF64_R_SYM(relocation.r_info)].st_shndx != SHN_UNDEF;
  }
  // Calls `callback` with each definition of this name that other objects can bind to: one per
  // version of the symbol.
  template <typename F>
  void forEachDefinition(const char* wanted, F&& callback) const {
    const auto visit = [&](uint32_t index) {
      const Elf64_Sym& symbol = symbols_[index];
      if (symbol.st_shndx != SHN_UNDEF && isNamed(symbol, wanted)) callback(symbol);
    };
    if (gnu_hash_)
      forEachOfGnuHash(wanted, visit);
    else if (hash_)
      forEachOfHash(wanted, visit);
  }
  bool defines(const char* wanted) const noexcept {
    bool is_found = false;
    forEachDefinition(wanted, [&](const Elf64_Sym&) { is_found = true; });
    return is_found;
  }
  // Returns the segment that contains `at`, or null.
  const Elf64_Phdr* segmentOf(uintptr_t at) const noexcept;
  bool isWritable(uintptr_t at) const noexcept {
    const Elf64_Phdr* segment = segmentOf(at);
    return segment && (segment->p_flags & PF_W);
  }

  const char* name;  // empty: the executable
  uintptr_t base;    // added to each address in the file
  const Elf64_Phdr* headers;
  size_t header_count;
  Range image;  // from the lowest segment's page to the highest one's
  Range text;   // the executable segment
  uint64_t text_file_offset = 0;
  Range relro;         // made read-only after relocation
  Range eh_frame_hdr;  // empty: no table of frames
  const uint8_t* build_id = nullptr;
  size_t build_id_bytes = 0;
  Relocations lazy;           // DT_JMPREL
  Relocations eager;          // DT_RELA
  size_t relative_count = 0;  // the first ones of `eager`, which name no symbol

 private:
  void readDynamic(const Elf64_Dyn* entry) noexcept;
  void readNotes(uintptr_t at, size_t size) noexcept;
  bool isNamed(const Elf64_Sym& symbol, const char* wanted) const noexcept;
  template <typename F>
  void forEachOfGnuHash(const char* wanted, F&& visit) const;
  template <typename F>
  void forEachOfHash(const char* wanted, F&& visit) const;

  const Elf64_Sym* symbols_ = nullptr;
  const char* strings_ = nullptr;
  const uint32_t* gnu_hash_ = nullptr;
  const uint32_t* hash_ = nullptr;
};

// Hashes as the ELF specification and its GNU extension define them.
uint32_t gnuHash(const char* name) noexcept;
uint32_t sysvHash(const char* name) noexcept;

// Header: number of buckets, first hashed symbol, words of the Bloom filter, its shift; then the
// filter, the buckets and one hash per symbol, whose lowest bit ends a chain.
template <typename F>
void LoadedObject::forEachOfGnuHash(const char* wanted, F&& visit) const {
  const uint32_t bucket_count = gnu_hash_[0];
  const uint32_t first = gnu_hash_[1];
  const uint32_t* buckets = gnu_hash_ + 4 + gnu_hash_[2] * (sizeof(Elf64_Addr) / sizeof(uint32_t));
  const uint32_t* hashes = buckets + bucket_count;
  if (bucket_count == 0) return;
  const uint32_t hash = gnuHash(wanted);
  uint32_t index = buckets[hash % bucket_count];
  if (index < first) return;
  for (;; index++) {
    const uint32_t one = hashes[index - first];
    if ((one | 1) == (hash | 1)) visit(index);
    if (one & 1) return;
  }
}

template <typename F>
void LoadedObject::forEachOfHash(const char* wanted, F&& visit) const {
  const uint32_t bucket_count = hash_[0];
  const uint32_t* buckets = hash_ + 2;
  const uint32_t* next = buckets + bucket_count;
  if (bucket_count == 0) return;
  for (uint32_t index = buckets[sysvHash(wanted) % bucket_count]; index != STN_UNDEF;
       index = next[index])
    visit(index);
}

}  // namespace memdrift
