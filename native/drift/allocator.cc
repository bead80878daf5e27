// SPDX-License-Identifier: MIT
#include "drift/allocator.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>

#include <cstdio>
#include <cstring>
#include <iterator>
#include <string_view>

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
  const void* function;  // malloc, as this process resolves it
  std::string path;
  bool has_musl = false;
  std::vector<AddressRange> data;
};

bool isIn(const dl_phdr_info& object, const void* function) {
  const auto address = reinterpret_cast<uintptr_t>(function);
  for (int i = 0; i < object.dlpi_phnum; i++) {
    const auto& part = object.dlpi_phdr[i];
    if (part.p_type != PT_LOAD) continue;
    const uintptr_t start = object.dlpi_addr + part.p_vaddr;
    if (address >= start && address < start + part.p_memsz) return true;
  }
  return false;
}

int visit(dl_phdr_info* object, size_t, void* argument) {
  auto& search = *static_cast<Search*>(argument);
  const std::string_view path(object->dlpi_name ? object->dlpi_name : "");
  if (path.find("ld-musl") != std::string_view::npos) search.has_musl = true;
  if (!isIn(*object, search.function)) return 0;
  search.path = path;
  for (int i = 0; i < object->dlpi_phnum; i++) {
    const auto& part = object->dlpi_phdr[i];
    if (part.p_type != PT_LOAD || (part.p_flags & PF_W) == 0) continue;
    const uint64_t start = object->dlpi_addr + part.p_vaddr;
    search.data.push_back({start, start + part.p_memsz});
  }
  return 0;
}

// In a program that is not position-independent and has malloc's address as a constant, malloc is
// for everybody a jump in the program itself, which is no definition. Symbols of other objects are
// then asked for in the order in which the linker looks for them.
bool isDefinition(const void* function) {
  using Dladdr1 = int (*)(const void*, Dl_info*, void**, int);
  constexpr int kWantSymbol = 1;  // RTLD_DL_SYMENT
  static const auto dladdr_1 = reinterpret_cast<Dladdr1>(dlsym(RTLD_DEFAULT, "dladdr1"));
  Dl_info info;
  void* symbol = nullptr;
  if (!dladdr_1 || !dladdr_1(function, &info, &symbol, kWantSymbol) || !symbol) return true;
  return static_cast<const ElfW(Sym)*>(symbol)->st_shndx != SHN_UNDEF;
}

const void* findMalloc() {
  const void* const resolved = dlsym(RTLD_DEFAULT, "malloc");
  if (isDefinition(resolved)) return resolved;
  // No vector, which might be large enough a block to make malloc merge what it has freed.
  struct Paths {
    const char* all[256];
    size_t count;
  } paths = {};
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* argument) {
        auto& found = *static_cast<Paths*>(argument);
        const bool has_name = object->dlpi_name && object->dlpi_name[0] == '/';
        if (has_name && found.count < std::size(found.all))
          found.all[found.count++] = object->dlpi_name;
        return 0;
      },
      &paths);
  for (size_t i = 0; i < paths.count; i++) {
    void* const object = dlopen(paths.all[i], RTLD_LAZY | RTLD_NOLOAD);
    if (!object) continue;
    const void* const function = dlsym(object, "malloc");
    dlclose(object);
    Dl_info info;
    // Without one of its own, an object answers with that of an object that it needs.
    if (function && dladdr(function, &info) && strcmp(info.dli_fname, paths.all[i]) == 0)
      return function;
  }
  return resolved;
}

}  // namespace

Allocator findAllocator() {
  Allocator allocator = {};
  Search search;
  search.function = findMalloc();
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
