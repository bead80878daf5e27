// SPDX-License-Identifier: MIT
#include "analysis/elf_symbols.h"

#include <algorithm>

#include "analysis/demangled_name.h"
#include "analysis/elf_file.h"

namespace memdrift {

ElfSymbols::ElfSymbols(const std::string& path, const std::string& build_id) {
  const MappedFile mapped(path);
  const ElfFile elf(mapped);
  if (!build_id.empty() && elf.buildId() != build_id) return;
  const Elf64_Shdr* table = elf.section(SHT_SYMTAB);
  if (!table) table = elf.section(SHT_DYNSYM);
  if (!table || table->sh_link >= elf.sections.size()) return;
  const Elf64_Shdr& strings = elf.sections[table->sh_link];
  names_ = mapped.part(strings.sh_offset, strings.sh_size);
  names_.push_back('\0');
  const uint64_t count = table->sh_size / sizeof(Elf64_Sym);
  for (uint64_t i = 0; i < count; i++) {
    const auto symbol = mapped.item<Elf64_Sym>(table->sh_offset + i * sizeof(Elf64_Sym));
    if (!symbol) break;
    const auto type = ELF64_ST_TYPE(symbol->st_info);
    if (type != STT_FUNC && type != STT_GNU_IFUNC) continue;
    if (symbol->st_shndx == SHN_UNDEF || symbol->st_name >= names_.size()) continue;
    const auto offset = elf.offsetOf(symbol->st_value);
    if (!offset) continue;
    symbols_.push_back(
        {*offset, *offset + std::max<uint64_t>(symbol->st_size, 1), symbol->st_name});
  }
  std::sort(symbols_.begin(), symbols_.end(),
            [](const Symbol& a, const Symbol& b) { return a.begin < b.begin; });
}

std::string ElfSymbols::nameAt(uint64_t file_offset) const {
  auto beyond = std::upper_bound(symbols_.begin(), symbols_.end(), file_offset,
                                 [](uint64_t at, const Symbol& one) { return at < one.begin; });
  if (beyond == symbols_.begin()) return "";
  --beyond;
  return file_offset < beyond->end ? demangledName(&names_[beyond->name]) : "";
}

}  // namespace memdrift
