// SPDX-License-Identifier: MIT
// The functions of elfutils' libdw that we use, by names looked up at run time: no header and no
// library of it is needed to build, and where it is not installed there are no source lines. Only
// loading it, as the distribution keeps it, also leaves its licence with it.
// What is declared here is the library's stable ABI (symbol versions up to ELFUTILS_0.171).
//
// Of the library, libdwfl is left alone: its search for separate debug info asks the servers of
// DEBUGINFOD_URLS, which a report may not; the rest knows nothing of them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memdrift {

struct DwarfHandle;
struct DwarfUnit;
struct DwarfLine;
struct DwarfLines;
struct DwarfFiles;

// Dwarf_Die: an entry of the tree that debug info is.
struct DwarfEntry {
  void* address = nullptr;
  DwarfUnit* unit = nullptr;
  void* abbreviation = nullptr;
  long padding = 0;
};

// Dwarf_Attribute.
struct DwarfAttribute {
  unsigned code;
  unsigned form;
  unsigned char* value;
  DwarfUnit* unit;
};

enum DwarfTag {
  kTagClass = 0x02,
  kTagLexicalBlock = 0x0b,
  kTagStructure = 0x13,
  kTagUnion = 0x17,
  kTagInlinedSubroutine = 0x1d,
  kTagModule = 0x1e,
  kTagCatchBlock = 0x25,
  kTagSubprogram = 0x2e,
  kTagTryBlock = 0x32,
  kTagNamespace = 0x39,
};

enum DwarfAttributeName : unsigned {
  kAttributeName = 0x03,
  kAttributeAbstractOrigin = 0x31,
  kAttributeSpecification = 0x47,
  kAttributeCallColumn = 0x57,
  kAttributeCallFile = 0x58,
  kAttributeCallLine = 0x59,
  kAttributeLinkageName = 0x6e,
  kAttributeOldLinkageName = 0x2007,  // what GCC wrote before DWARF 4
};

struct Libdw {
  unsigned (*elf_version)(unsigned);
  DwarfHandle* (*dwarf_begin)(int, int);
  int (*dwarf_end)(DwarfHandle*);
  int (*dwarf_nextcu)(DwarfHandle*, uint64_t, uint64_t*, size_t*, uint64_t*, uint8_t*, uint8_t*);
  int (*dwarf_cu_info)(DwarfUnit*, uint16_t*, uint8_t*, DwarfEntry*, DwarfEntry*, uint64_t*,
                       uint8_t*, uint8_t*);
  DwarfEntry* (*dwarf_offdie)(DwarfHandle*, uint64_t, DwarfEntry*);
  uint64_t (*dwarf_dieoffset)(DwarfEntry*);
  int (*dwarf_child)(DwarfEntry*, DwarfEntry*);
  int (*dwarf_siblingof)(DwarfEntry*, DwarfEntry*);
  int (*dwarf_tag)(DwarfEntry*);
  int (*dwarf_haspc)(DwarfEntry*, uint64_t);
  ptrdiff_t (*dwarf_ranges)(DwarfEntry*, ptrdiff_t, uint64_t*, uint64_t*, uint64_t*);
  DwarfAttribute* (*dwarf_attr)(DwarfEntry*, unsigned, DwarfAttribute*);
  DwarfAttribute* (*dwarf_attr_integrate)(DwarfEntry*, unsigned, DwarfAttribute*);
  const char* (*dwarf_formstring)(DwarfAttribute*);
  int (*dwarf_formudata)(DwarfAttribute*, uint64_t*);
  DwarfEntry* (*dwarf_formref_die)(DwarfAttribute*, DwarfEntry*);
  DwarfLine* (*dwarf_getsrc_die)(DwarfEntry*, uint64_t);
  const char* (*dwarf_linesrc)(DwarfLine*, uint64_t*, uint64_t*);
  int (*dwarf_lineno)(DwarfLine*, int*);
  int (*dwarf_linecol)(DwarfLine*, int*);
  int (*dwarf_getsrcfiles)(DwarfEntry*, DwarfFiles**, size_t*);
  const char* (*dwarf_filesrc)(DwarfFiles*, size_t, uint64_t*, uint64_t*);
};

// Null where it is not installed, or is too old. Loaded once, at the first call, and kept.
const Libdw* libdw();

}  // namespace memdrift
