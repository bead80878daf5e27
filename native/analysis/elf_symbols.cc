// SPDX-License-Identifier: MIT
#include "analysis/elf_symbols.h"

#include <cxxabi.h>
#include <elf.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <optional>
#include <string_view>

namespace memdrift {

namespace {

// A file's bytes; every read of them is checked: it may be any file by now.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    if (fd < 0) return;
    struct stat status;
    if (fstat(fd, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0) {
      void* data =
          mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_PRIVATE, fd, 0);
      if (data != MAP_FAILED)
        bytes_ = {static_cast<const char*>(data), static_cast<size_t>(status.st_size)};
    }
    close(fd);
  }
  ~MappedFile() {
    if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::string_view part(uint64_t at, uint64_t size) const {
    if (at > bytes_.size() || size > bytes_.size() - at) return {};
    return bytes_.substr(at, size);
  }
  template <typename Item>
  std::optional<Item> item(uint64_t at) const {
    const std::string_view bytes = part(at, sizeof(Item));
    if (bytes.empty()) return std::nullopt;
    Item found;
    memcpy(&found, bytes.data(), sizeof found);
    return found;
  }

 private:
  std::string_view bytes_;
};

struct ElfFile {
  explicit ElfFile(const MappedFile& mapped) : file(mapped) {
    const auto header = file.item<Elf64_Ehdr>(0);
    if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
        header->e_ident[EI_CLASS] != ELFCLASS64)
      return;
    for (unsigned i = 0; i < header->e_shnum; i++)
      if (const auto section = file.item<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr)))
        sections.push_back(*section);
    for (unsigned i = 0; i < header->e_phnum; i++)
      if (const auto segment = file.item<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr)))
        segments.push_back(*segment);
  }
  const Elf64_Shdr* section(uint32_t type) const {
    const auto found = std::find_if(sections.begin(), sections.end(),
                                    [&](const Elf64_Shdr& one) { return one.sh_type == type; });
    return found == sections.end() ? nullptr : &*found;
  }
  std::optional<uint64_t> offsetOf(uint64_t address) const {
    for (const Elf64_Phdr& segment : segments)
      if (segment.p_type == PT_LOAD && address - segment.p_vaddr < segment.p_filesz)
        return address - segment.p_vaddr + segment.p_offset;
    return std::nullopt;
  }
  std::string buildId() const {
    for (const Elf64_Phdr& segment : segments) {
      if (segment.p_type != PT_NOTE) continue;
      uint64_t at = segment.p_offset;
      const uint64_t end = at + segment.p_filesz;
      while (at + sizeof(Elf64_Nhdr) <= end) {
        const auto note = file.item<Elf64_Nhdr>(at);
        if (!note) break;
        const uint64_t content = at + sizeof(Elf64_Nhdr) + ((note->n_namesz + 3U) & ~3U);
        if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4)
          return std::string(file.part(content, note->n_descsz));
        at = content + ((note->n_descsz + 3U) & ~3U);
      }
    }
    return "";
  }

  const MappedFile& file;
  std::vector<Elf64_Shdr> sections;
  std::vector<Elf64_Phdr> segments;
};

std::string demangled(const char* name) {
  int status = 0;
  const std::unique_ptr<char, void (*)(void*)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), std::free);
  return status == 0 && text ? text.get() : name;
}

}  // namespace

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
  return file_offset < beyond->end ? demangled(&names_[beyond->name]) : "";
}

}  // namespace memdrift
