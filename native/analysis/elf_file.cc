// SPDX-License-Identifier: MIT
#include "analysis/elf_file.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

namespace memdrift {

int openRegularFile(const std::string& path) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
  struct stat status;
  if (fd < 0 || (fstat(fd, &status) == 0 && S_ISREG(status.st_mode))) return fd;
  close(fd);
  return -1;
}

MappedFile::MappedFile(const std::string& path) {
  const int fd = openRegularFile(path);
  if (fd < 0) return;
  struct stat status;
  if (fstat(fd, &status) == 0 && status.st_size > 0) {
    const auto size = static_cast<size_t>(status.st_size);
    void* data = mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (data != MAP_FAILED) bytes_ = {static_cast<const char*>(data), size};
  }
  close(fd);
}

MappedFile::~MappedFile() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

std::string_view MappedFile::part(uint64_t at, uint64_t size) const {
  if (at > bytes_.size() || size > bytes_.size() - at) return {};
  return bytes_.substr(at, size);
}

ElfFile::ElfFile(const MappedFile& mapped) : file(mapped) {
  const auto header = file.item<Elf64_Ehdr>(0);
  if (!header || memcmp(header->e_ident, ELFMAG, SELFMAG) != 0 ||
      header->e_ident[EI_CLASS] != ELFCLASS64)
    return;
  for (unsigned i = 0; i < header->e_shnum; i++)
    if (const auto one = file.item<Elf64_Shdr>(header->e_shoff + i * sizeof(Elf64_Shdr)))
      sections.push_back(*one);
  for (unsigned i = 0; i < header->e_phnum; i++)
    if (const auto segment = file.item<Elf64_Phdr>(header->e_phoff + i * sizeof(Elf64_Phdr)))
      segments.push_back(*segment);
  if (header->e_shstrndx < sections.size()) names_at_ = sections[header->e_shstrndx].sh_offset;
}

const Elf64_Shdr* ElfFile::section(uint32_t type) const {
  const auto found = std::find_if(sections.begin(), sections.end(),
                                  [&](const Elf64_Shdr& one) { return one.sh_type == type; });
  return found == sections.end() ? nullptr : &*found;
}

const Elf64_Shdr* ElfFile::sectionNamed(const std::string& name) const {
  // With the zero that ends it: .debug_info is not .debug_info.dwo.
  const std::string_view wanted(name.c_str(), name.size() + 1);
  const auto found = std::find_if(sections.begin(), sections.end(), [&](const Elf64_Shdr& one) {
    return file.part(names_at_ + one.sh_name, wanted.size()) == wanted;
  });
  return found == sections.end() ? nullptr : &*found;
}

std::optional<uint64_t> ElfFile::offsetOf(uint64_t address) const {
  for (const Elf64_Phdr& segment : segments)
    if (segment.p_type == PT_LOAD && address - segment.p_vaddr < segment.p_filesz)
      return address - segment.p_vaddr + segment.p_offset;
  return std::nullopt;
}

// Files with nothing but debug info have segments that say where things were in the other file;
// their sections are their own.
std::string ElfFile::buildId() const {
  for (const Elf64_Phdr& segment : segments) {
    if (segment.p_type != PT_NOTE) continue;
    std::string found = buildIdIn(segment.p_offset, segment.p_offset + segment.p_filesz);
    if (!found.empty()) return found;
  }
  for (const Elf64_Shdr& one : sections) {
    if (one.sh_type != SHT_NOTE) continue;
    std::string found = buildIdIn(one.sh_offset, one.sh_offset + one.sh_size);
    if (!found.empty()) return found;
  }
  return "";
}

std::string ElfFile::buildIdIn(uint64_t at, uint64_t end) const {
  while (at + sizeof(Elf64_Nhdr) <= end) {
    const auto note = file.item<Elf64_Nhdr>(at);
    if (!note) break;
    const uint64_t content = at + sizeof(Elf64_Nhdr) + ((note->n_namesz + 3ULL) & ~3ULL);
    if (note->n_type == NT_GNU_BUILD_ID && note->n_namesz == 4)
      return std::string(file.part(content, note->n_descsz));
    at = content + ((note->n_descsz + 3ULL) & ~3ULL);
  }
  return "";
}

}  // namespace memdrift
