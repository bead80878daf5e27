// SPDX-License-Identifier: MIT
#include "analysis/libdw.h"

#include <dlfcn.h>
#include <elf.h>

namespace memdrift {

namespace {

template <typename Function>
bool find(void* library, Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  return function != nullptr;
}

bool load(Libdw& api) {
  void* library = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
  if (!library) return false;
#define FIND(name) find(library, api.name, #name)
  // elf_version is libelf's, which libdw brings.
  const bool is_whole = FIND(elf_version) && FIND(dwarf_begin) && FIND(dwarf_end) &&
                        FIND(dwarf_nextcu) && FIND(dwarf_cu_info) && FIND(dwarf_offdie) &&
                        FIND(dwarf_dieoffset) && FIND(dwarf_child) && FIND(dwarf_siblingof) &&
                        FIND(dwarf_tag) && FIND(dwarf_haspc) && FIND(dwarf_ranges) &&
                        FIND(dwarf_attr) && FIND(dwarf_attr_integrate) && FIND(dwarf_formstring) &&
                        FIND(dwarf_formudata) && FIND(dwarf_formref_die) &&
                        FIND(dwarf_getsrc_die) && FIND(dwarf_linesrc) && FIND(dwarf_lineno) &&
                        FIND(dwarf_linecol) && FIND(dwarf_getsrcfiles) && FIND(dwarf_filesrc);
#undef FIND
  return is_whole && api.elf_version(EV_CURRENT) != EV_NONE;
}

}  // namespace

const Libdw* libdw() {
  static Libdw api = {};
  static const bool is_there = load(api);
  return is_there ? &api : nullptr;
}

}  // namespace memdrift
