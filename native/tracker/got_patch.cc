// SPDX-License-Identifier: MIT
#include "tracker/got_patch.h"

#include <dlfcn.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstring>

#include "errors.h"

namespace memdrift {

namespace {

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
      const auto type = ELF64_R_TYPE(relocation.r_info);
      if (type != R_X86_64_JUMP_SLOT && type != R_X86_64_GLOB_DAT) continue;
      if (strcmp(object.symbolName(relocation), lookup->name) != 0) continue;
      const uintptr_t value = *reinterpret_cast<uintptr_t*>(object.base + relocation.r_offset);
      if (!object.image.contains(value)) lookup->slot = value;
    }
  return 1;  // the executable is the first; no other is of interest
}

// Changes words of an object, in pages that may be read-only.
class Writable {
 public:
  explicit Writable(const LoadedObject& object) : relro_(object.relro) {}
  ~Writable() { protect(PROT_READ); }

  bool store(uintptr_t* at, uintptr_t value) {
    if (relro_.contains(reinterpret_cast<uintptr_t>(at)) && !is_open_) {
      if (!protect(PROT_READ | PROT_WRITE)) return false;
      is_open_ = true;
    }
    // One store: another thread may call through this word right now.
    std::atomic_ref(*at).store(value, std::memory_order_release);
    return true;
  }

 private:
  bool protect(int protection) {
    if (protection == PROT_READ && !is_open_) return true;
    return mprotect(reinterpret_cast<void*>(relro_.begin), relro_.end - relro_.begin, protection) ==
           0;
  }

  Range relro_;
  bool is_open_ = false;
};

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

struct GotPatch::Pass {
  GotPatch* patch;
  bool is_restoring;
  bool is_first = true;
};

GotPatch::GotPatch(const std::vector<Interposed>& functions) : functions_(functions) {}

void GotPatch::apply() {
  const std::lock_guard hold(lock_);
  for (auto& [key, object] : objects_) object.is_present = false;
  Pass pass = {this, false};
  dl_iterate_phdr(onObject, &pass);
  // Their words are gone with them.
  std::erase_if(objects_, [](const auto& entry) { return !entry.second.is_present; });
}

void GotPatch::restore() {
  const std::lock_guard hold(lock_);
  Pass pass = {this, true};
  // Inside the callback nothing is unloaded, so that no word is written to memory that is gone.
  dl_iterate_phdr(onObject, &pass);
  objects_.clear();
  loads_ = unloads_ = 0;
}

size_t GotPatch::slotCount() {
  const std::lock_guard hold(lock_);
  size_t count = 0;
  for (const auto& [key, object] : objects_) count += object.slots.size();
  return count;
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

int GotPatch::onObject(dl_phdr_info* info, size_t, void* data) {
  auto* pass = static_cast<Pass*>(data);
  GotPatch& patch = *pass->patch;
  const LoadedObject object(*info);
  if (pass->is_first) patch.executable_ = object.image;
  pass->is_first = false;
  patch.loads_ = info->dlpi_adds;
  patch.unloads_ = info->dlpi_subs;
  const std::pair key(static_cast<uintptr_t>(info->dlpi_addr),
                      static_cast<const void*>(info->dlpi_phdr));
  if (pass->is_restoring) {
    const auto found = patch.objects_.find(key);
    if (found == patch.objects_.end()) return 0;
    Writable words(object);
    for (const Slot& slot : found->second.slots)
      if (*slot.at == slot.hook) words.store(slot.at, slot.before);
    return 0;
  }
  Object& known = patch.objects_[key];
  known.is_present = true;
  // An object that was loaded where another one had been is found by words that are not ours.
  std::erase_if(known.slots, [](const Slot& slot) { return *slot.at != slot.hook; });
  if (known.slots.empty() && !patch.isOurs(object) && !patch.isAllocator(object))
    patch.patchObject(object, known);
  return 0;
}

// A malloc that was preloaded: what it maps for its blocks is these blocks, and its calls come from
// where no hook may take from the heap, under its locks. glibc has the other functions as well.
bool GotPatch::isAllocator(const LoadedObject& object) const {
  const Interposed* allocate = find("malloc");
  const Interposed* map = find("mmap");
  const auto isIn = [&](const Interposed* one) {
    return one && object.text.contains(reinterpret_cast<uintptr_t>(one->real));
  };
  return object.name[0] != '\0' && isIn(allocate) && !isIn(map);
}

bool GotPatch::isOurs(const LoadedObject& object) const {
  const auto hook = reinterpret_cast<uintptr_t>(functions_.front().hook);
  // The dynamic linker's own calls happen while it holds its locks.
  const char* file = strrchr(object.name, '/');
  return object.image.contains(hook) || (file && strncmp(file, "/ld-", 4) == 0);
}

void GotPatch::patchObject(const LoadedObject& object, Object& to) {
  std::vector<Slot> found;
  patchTable(object, object.lazy, found);
  patchTable(object, object.eager, found);
  Writable words(object);
  for (const Slot& slot : found)
    if (words.store(slot.at, slot.hook)) to.slots.push_back(slot);
}

void GotPatch::patchTable(const LoadedObject& object, const Relocations& table,
                          std::vector<Slot>& found) {
  for (size_t i = 0; i < table.count; i++) {
    const Elf64_Rela& relocation = table.first[i];
    const auto type = ELF64_R_TYPE(relocation.r_info);
    const bool is_call = type == R_X86_64_JUMP_SLOT;
    if (!is_call && type != R_X86_64_GLOB_DAT && type != R_X86_64_64) continue;
    const Interposed* function = find(object.symbolName(relocation));
    if (!function) continue;
    auto* at = reinterpret_cast<uintptr_t*>(object.base + relocation.r_offset);
    const uintptr_t before = std::atomic_ref(*at).load(std::memory_order_acquire);
    // Not resolved yet: a word that points back into the object. Anything else that is not the real
    // function is somebody else's, whose blocks the real one could not free.
    const bool is_lazy =
        is_call && object.image.contains(before) && !object.definesSymbol(relocation);
    const bool is_stub = is_call && executable_.contains(before);
    if (before != reinterpret_cast<uintptr_t>(function->real) && !is_lazy && !is_stub) continue;
    found.push_back({at, before, reinterpret_cast<uintptr_t>(function->hook)});
  }
}

const Interposed* GotPatch::find(std::string_view name) const {
  for (const Interposed& function : functions_)
    if (function.real && name == function.name) return &function;
  return nullptr;
}

}  // namespace memdrift
