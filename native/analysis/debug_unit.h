// SPDX-License-Identifier: MIT
// The functions and lines of one unit of compilation, from its debug info.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "analysis/debug_lines.h"
#include "analysis/libdw.h"

namespace memdrift {

// Code of something: of a unit, of a function.
struct CodeRange {
  uint64_t begin;
  uint64_t end;
  uint32_t of;
};

// Appends the ranges of `entry`; false when there are more than debug info in good order has.
bool addRanges(DwarfEntry entry, uint32_t of, std::vector<CodeRange>& ranges);

// Orders ranges for rangeAt().
void sortRanges(std::vector<CodeRange>& ranges);

// Null where none has the address.
const CodeRange* rangeAt(const std::vector<CodeRange>& ranges, uint64_t address);

// Walks the unit once when it is made; a question then costs what the function has of inlined
// ones. What it reads may be broken: every walk goes forward only, so that it ends.
class DebugUnit {
 public:
  explicit DebugUnit(const DwarfEntry& root);

  // As DebugLines::at, of an address of the file.
  std::vector<DebugLine> at(uint64_t address) const;

 private:
  // What surrounds an entry, up to the unit.
  struct Scope {
    const Scope* outer;
    DwarfEntry entry;
    int depth;
  };
  struct Position {
    std::string file;
    uint32_t line = 0;
    uint32_t column = 0;
  };

  void collect(const Scope& scope);
  void addFunction(DwarfEntry entry, const Scope& scope);
  std::string prefixOf(const Scope& scope) const;
  Position positionOf(uint64_t address) const;
  Position callOf(DwarfEntry inlined) const;
  std::vector<DwarfEntry> inlinedAt(DwarfEntry function, uint64_t address) const;
  std::string nameOf(DwarfEntry function) const;

  DwarfEntry lines_root_;      // has the table of lines
  DwarfEntry functions_root_;  // another one where the functions are in a .dwo file
  const char* furthest_ = nullptr;
  std::vector<DwarfEntry> functions_;
  std::vector<CodeRange> ranges_;
  // Of functions that have no name for the linker, by offset.
  std::unordered_map<uint64_t, std::string> prefixes_;
};

}  // namespace memdrift
