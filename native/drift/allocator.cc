// SPDX-License-Identifier: MIT
#include "drift/allocator.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstdio>
#include <string_view>

#include "objects/loaded_object.h"

namespace memdrift {

namespace {

std::string fileName(const char* path) {
  const std::string_view whole(path);
  return std::string(whole.substr(whole.rfind('/') + 1));
}

struct Known {
  const char* symbol;
  const char* name;
};

// A symbol that each of them exports for its own use beside malloc.
constexpr Known kKnown[] = {
    {"__asan_init", "AddressSanitizer"},
    {"__tsan_init", "ThreadSanitizer"},
    {"__msan_init", "MemorySanitizer"},
    {"mallctl", "jemalloc"},
    {"je_mallctl", "jemalloc"},
    {"mi_version", "mimalloc"},
    {"tc_version", "tcmalloc"},
    {"MallocExtension_ReleaseFreeMemory", "tcmalloc"},
    {"snmalloc_check_bounds", "snmalloc"},
    {"scudo_malloc_usable_size", "scudo"},
};

struct Search {
  std::string path;
  bool is_found = false;
  bool has_musl = false;
  std::vector<AddressRange> data;
};

// The first object that defines malloc, in the order in which the linker looks for it. Found in the
// symbol tables, not by dlsym(): that returns a stub in a program that is not position-independent,
// and the hook in a tracked one.
int visit(dl_phdr_info* info, size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  const LoadedObject object(*info);
  const std::string_view path(object.name);
  if (path.find("ld-musl") != std::string_view::npos) search.has_musl = true;
  if (search.is_found || !object.defines("malloc")) return 0;
  search.is_found = true;
  search.path = path;
  for (size_t i = 0; i < object.header_count; i++) {
    const auto& part = object.headers[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) == 0) continue;
    const uint64_t start = object.base + part.p_vaddr;
    search.data.push_back({start, start + part.p_memsz});
  }
  return 0;
}

}  // namespace

Allocator findAllocator() {
  Allocator allocator = {};
  Search search;
  dl_iterate_phdr(visit, &search);
  using GetVersion = const char* (*)();
  const auto get_version =
      reinterpret_cast<GetVersion>(dlsym(RTLD_DEFAULT, "gnu_get_libc_version"));
  Dl_info libc;
  unsigned major = 0;
  const bool is_of_libc = get_version &&
                          dladdr(reinterpret_cast<const void*>(get_version), &libc) &&
                          search.path == libc.dli_fname;
  if (is_of_libc && sscanf(get_version(), "%u.%u", &major, &allocator.version.minor) == 2) {
    allocator.name = std::string("glibc ") + get_version();
    allocator.is_glibc = major == 2;
    allocator.data = std::move(search.data);
    return allocator;
  }
  for (const Known& known : kKnown)
    if (allocator.name.empty() && dlsym(RTLD_DEFAULT, known.symbol)) allocator.name = known.name;
  if (allocator.name.empty() && search.has_musl) allocator.name = "musl";
  if (allocator.name.empty()) allocator.name = fileName(search.path.c_str());
  if (allocator.name.empty()) allocator.name = "the program's own";
  return allocator;
}

}  // namespace memdrift
