// SPDX-License-Identifier: MIT
// What an ELF file says of itself: its headers, its notes, where its code is. Of names and lines
// it knows nothing.
#pragma once

#include <elf.h>

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace memdrift {

// A regular file to read, or -1: opening a pipe or a device must neither wait nor do anything.
int openRegularFile(const std::string& path);

// A file's bytes; every read of them is checked: it may be any file by now.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  uint64_t size() const { return bytes_.size(); }
  // Empty where the file has not all of it.
  std::string_view part(uint64_t at, uint64_t size) const;
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

// No sections and no segments where the file is no 64-bit ELF.
class ElfFile {
 public:
  explicit ElfFile(const MappedFile& mapped);

  const Elf64_Shdr* section(uint32_t type) const;
  const Elf64_Shdr* sectionNamed(const std::string& name) const;
  std::optional<uint64_t> offsetOf(uint64_t address) const;
  // Its bytes; empty: it has none.
  std::string buildId() const;

  const MappedFile& file;
  std::vector<Elf64_Shdr> sections;
  std::vector<Elf64_Phdr> segments;

 private:
  std::string buildIdIn(uint64_t at, uint64_t end) const;

  uint64_t names_at_ = 0;
};

}  // namespace memdrift
