// SPDX-License-Identifier: MIT
// Names of native functions, from the symbol tables of the files that they were loaded from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace memdrift {

// The functions of one file, by their address in it. Made once per file and report.
class ElfSymbols {
 public:
  // A file that is gone, unreadable or not the one of `build_id` (empty: any) has no symbols.
  ElfSymbols(const std::string& path, const std::string& build_id);

  // The function at an offset of the file, as its source has it ("v8::Isolate::Foo(int)"); empty
  // when no symbol covers it.
  std::string nameAt(uint64_t file_offset) const;

 private:
  struct Symbol {
    uint64_t begin;
    uint64_t end;
    uint32_t name;  // in names_
  };

  std::vector<Symbol> symbols_;
  std::string names_;
};

}  // namespace memdrift
