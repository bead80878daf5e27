// SPDX-License-Identifier: MIT
// The code that a capture's stacks are in: what V8 made, by name, and native objects, by the
// symbols of their files.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "analysis/allocation_rows.h"
#include "analysis/debug_lines.h"
#include "analysis/elf_symbols.h"
#include "analysis/live_memory.h"
#include "capture/capture_reader.h"

namespace memdrift {

class ProgramCode {
 public:
  void add(const CodeEvent& event);
  void add(const ModuleRecord& module);
  void add(const PlaceLines& place);

  // A capture without lines needs no places within code, and code of one name is one function: with
  // `joins`, join() makes their nodes the same. Each isolate has its own copies of all code.
  void joinPlaces(bool joins) { joins_places_ = joins; }
  void join(Event& node) const;

  // Nodes with the same key are the same functions.
  struct Key {
    uint32_t code;
    uint64_t place;
    bool operator==(const Key&) const = default;
  };
  Key keyOf(const StackNode& node) const;

  // The functions at that place, innermost first: more than one where functions were compiled into
  // one another. Reads the symbols and the debug info of the object at its first place.
  std::vector<StackFrame> framesAt(const StackNode& node) const;

 private:
  struct Module {
    uint64_t end;
    uint64_t file_offset;
    std::string path;
    std::string build_id;
  };
  struct Line {
    uint32_t line;
    std::string function;
    std::string file;
  };

  const std::vector<Line>* linesAt(const StackNode& node) const;
  StackFrame jsFrameOf(const StackNode& node) const;
  std::vector<StackFrame> nativeFramesAt(uint64_t pc) const;

  // Returns the first code with the name of `code`; null when it has no name.
  const uint32_t* firstOf(uint32_t code) const;

  std::unordered_map<std::string, uint32_t> firsts_;             // the first code of each name
  std::unordered_map<uint32_t, const std::string*> names_;       // of those codes, in firsts_
  std::vector<uint32_t> firsts_of_codes_;                        // by number; 0: no name
  std::unordered_map<uint32_t, uint32_t> firsts_of_high_codes_;  // of a damaged file
  bool joins_places_ = false;
  // By code and place; the functions from without.
  std::map<std::pair<uint32_t, uint64_t>, std::vector<Line>> lines_;
  std::map<uint64_t, Module> modules_;  // by start
  struct NativeObject {
    NativeObject(const std::string& path, const std::string& build_id)
        : symbols(path, build_id), lines(path, build_id) {}
    ElfSymbols symbols;
    DebugLines lines;
  };
  mutable std::map<std::string, std::unique_ptr<NativeObject>> objects_;
};

}  // namespace memdrift
