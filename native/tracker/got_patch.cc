// SPDX-License-Identifier: MIT
#include "tracker/got_patch.h"

#include <dlfcn.h>

#include <algorithm>
#include <cstring>

#include "tracker/object_words.h"

namespace memdrift {

namespace {

bool namesFunction(const Elf64_Rela& relocation) {
  switch (ELF64_R_TYPE(relocation.r_info)) {
    case R_X86_64_JUMP_SLOT:
    case R_X86_64_GLOB_DAT:
      return true;
    case R_X86_64_64:
      return relocation.r_addend == 0;
    default:
      return false;
  }
}

struct Lookup {
  const char* name;
  Range executable;
  uintptr_t slot = 0;  // what the executable calls under that name
};

// The executable's own word for the function: with BIND_NOW, as Node has it, it is resolved.
int findInExecutable(dl_phdr_info* info, size_t, void* data) {
  auto* lookup = static_cast<Lookup*>(data);
  const LoadedObject object(*info);
  lookup->executable = object.image;
  for (const Relocations& table : {object.lazy, object.eager})
    for (size_t i = 0; i < table.count; i++) {
      const Elf64_Rela& relocation = table.first[i];
      if (!namesFunction(relocation) || strcmp(object.symbolName(relocation), lookup->name) != 0)
        continue;
      const uintptr_t value = ObjectWords::load(object.base + relocation.r_offset);
      if (!object.image.contains(value)) lookup->slot = value;
    }
  return 1;  // the executable is the first; no other is of interest
}

// The dynamic linker makes its own calls under its locks. It is known by two names, since
// sanitizers define the first and an executable may have a copy of the second.
bool isDynamicLinker(const LoadedObject& object) {
  return object.defines("__tls_get_addr") && object.defines("_r_debug");
}

}  // namespace

void* realFunction(const char* name) {
  Lookup lookup = {name, {}};
  dl_iterate_phdr(findInExecutable, &lookup);
  if (lookup.slot != 0) return reinterpret_cast<void*>(lookup.slot);
  // In an executable that does not know where it will be loaded, a function's address can be that
  // of the executable's own stub, which calls through the word that is about to be ours.
  void* found = dlsym(RTLD_DEFAULT, name);
  if (found && !lookup.executable.contains(reinterpret_cast<uintptr_t>(found))) return found;
  void* libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
  if (!libc) return nullptr;
  found = dlsym(libc, name);
  dlclose(libc);
  return found;
}

struct GotPatch::Round {
  GotPatch* patch;
  Pass pass;
  RelocationState relocation;
  size_t count = 0;
  bool has_unready = false;
  bool is_excepted = false;  // the current object
  unsigned long long loads = 0;
  unsigned long long unloads = 0;
};

GotPatch::GotPatch(const std::vector<Interposed>& functions) : functions_(functions) {
  reals_ = hooks_ = {UINTPTR_MAX, 0};
  const auto extend = [](Range& range, uintptr_t at) {
    range = {std::min(range.begin, at), std::max(range.end, at + 1)};
  };
  for (const Interposed& function : functions_) {
    if (!function.real) continue;
    extend(reals_, function.realAddress());
    extend(hooks_, function.hookAddress());
  }
}

void GotPatch::apply() {
  const std::lock_guard hold(lock_);
  if (!is_applied_) run(Pass::bind_excepted);
  is_applied_ = true;
  run(Pass::hook);
}

void GotPatch::restore() {
  const std::lock_guard hold(lock_);
  run(Pass::restore);
  definitions_.forget();
  is_applied_ = has_unready_ = false;
  loads_ = unloads_ = 0;
}

size_t GotPatch::slotCount() {
  const std::lock_guard hold(lock_);
  size_t count = 0;
  run(Pass::count, &count);
  return count;
}

bool GotPatch::hasUnready() {
  const std::lock_guard hold(lock_);
  return has_unready_;
}

bool GotPatch::bindsNewObjects() {
  const std::lock_guard hold(lock_);
  return definitions_.isWhole(functions_);
}

bool GotPatch::isStale() {
  unsigned long long counts[2] = {};
  dl_iterate_phdr(
      [](dl_phdr_info* info, size_t, void* data) {
        auto* to = static_cast<unsigned long long*>(data);
        to[0] = info->dlpi_adds;
        to[1] = info->dlpi_subs;
        return 1;
      },
      counts);
  const std::lock_guard hold(lock_);
  return counts[0] != loads_ || counts[1] != unloads_;
}

void GotPatch::run(Pass pass, size_t* count) {
  Round round = {this, pass, RelocationState()};
  // Nothing is unloaded inside the callback, so no word is read or written in unmapped memory.
  dl_iterate_phdr(onObject, &round);
  if (count) *count = round.count;
  if (pass != Pass::hook) return;
  has_unready_ = round.has_unready;
  loads_ = round.loads;
  unloads_ = round.unloads;
}

int GotPatch::onObject(dl_phdr_info* info, size_t, void* data) {
  auto& round = *static_cast<Round*>(data);
  round.loads = info->dlpi_adds;
  round.unloads = info->dlpi_subs;
  if (round.relocation.isRelocated(*info))
    round.patch->visit(LoadedObject(*info), round);
  else
    round.has_unready = true;
  return 0;
}

void GotPatch::visit(const LoadedObject& object, Round& round) {
  if (isDynamicLinker(object)) return;
  round.is_excepted = isExcepted(object);
  if (round.pass == Pass::bind_excepted && !round.is_excepted) return;
  // Definitions first: a word that the linker binds during this pass is then bound to the hook.
  if (round.pass == Pass::hook) definitions_.apply(object, functions_);
  if (round.pass == Pass::restore) definitions_.restore(object);
  visitTable(object, object.lazy, round);
  visitTable(object, object.eager, round);
}

void GotPatch::visitTable(const LoadedObject& object, const Relocations& table, Round& round) {
  ObjectWords words(object);
  const bool is_eager = table.first == object.eager.first;
  for (size_t i = is_eager ? object.relative_count : 0; i < table.count; i++) {
    const Elf64_Rela& relocation = table.first[i];
    if (!namesFunction(relocation)) continue;
    const uintptr_t at = object.base + relocation.r_offset;
    const uintptr_t word = ObjectWords::load(at);
    if (round.pass == Pass::count) {
      if (byHook(word)) round.count++;
      continue;
    }
    const uintptr_t value = wanted(object, {relocation, word}, round);
    if (value != word) words.storeRelocated(at, value);
  }
}

// Returns the value that a word should hold. A word that holds neither a real function nor a hook
// leads to another library, whose blocks the real function could not free, or is bound at its first
// call.
uintptr_t GotPatch::wanted(const LoadedObject& object, const Word& word, const Round& round) const {
  const auto& [relocation, value] = word;
  if (round.pass == Pass::restore || round.is_excepted) {
    if (const Interposed* function = byHook(value)) return function->realAddress();
    // A first call would bind it to the hook.
    const bool is_unbound = ELF64_R_TYPE(relocation.r_info) == R_X86_64_JUMP_SLOT &&
                            object.image.contains(value) && !object.definesSymbol(relocation);
    if (round.pass != Pass::bind_excepted || !is_unbound) return value;
    const Interposed* function = byName(object.symbolName(relocation));
    return function && function->real ? function->realAddress() : value;
  }
  if (!reals_.contains(value)) return value;
  const Interposed* function = byReal(value, object.symbolName(relocation));
  return function ? function->hookAddress() : value;
}

// The name decides too: two names may be one function.
const Interposed* GotPatch::byReal(uintptr_t word, std::string_view name) const {
  for (const Interposed& function : functions_)
    if (function.realAddress() == word && name == function.name) return &function;
  return nullptr;
}

const Interposed* GotPatch::byHook(uintptr_t word) const {
  if (!hooks_.contains(word)) return nullptr;
  for (const Interposed& function : functions_)
    if (function.real && function.hookAddress() == word) return &function;
  return nullptr;
}

const Interposed* GotPatch::byName(std::string_view name) const {
  for (const Interposed& function : functions_)
    if (name == function.name) return &function;
  return nullptr;
}

// Objects whose own calls are not the program's: ours, and a preloaded malloc.
bool GotPatch::isExcepted(const LoadedObject& object) const {
  return object.image.contains(functions_.front().hookAddress()) || isAllocator(object);
}

// A preloaded malloc: its mappings hold blocks that are recorded already, and it calls under its
// own locks, where no hook may use the heap. glibc is not one: it defines mmap as well.
bool GotPatch::isAllocator(const LoadedObject& object) const {
  const Interposed* allocate = byName("malloc");
  const Interposed* map = byName("mmap");
  const auto isIn = [&](const Interposed* one) {
    return one && one->real && object.text.contains(one->realAddress());
  };
  return object.name[0] != '\0' && isIn(allocate) && !isIn(map);
}

}  // namespace memdrift
