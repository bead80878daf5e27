// SPDX-License-Identifier: MIT
// Leads certain calls of loaded objects to our hooks, without a restart or a preload. It changes
// the words through which the objects that are loaded now call; the dynamic linker binds later
// objects to the hooks (DefinitionRedirect).
//
// It remembers nothing about an object: a word that holds a real function's address is changed, one
// that holds a hook's is restored. So an object cannot be mistaken for an unloaded one at its
// address, and the next pass finds a lazy binding that was under way.
#pragma once

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "objects/loaded_object.h"
#include "objects/relocation_state.h"
#include "tracker/definition_redirect.h"
#include "tracker/interposed.h"

namespace memdrift {

class GotPatch {
 public:
  // `functions` outlive it.
  explicit GotPatch(const std::vector<Interposed>& functions);

  // Hooks all relocated objects; a later call finds words that were still being bound or relocated.
  // Any thread, not in hooks. Takes about 0.1 ms, in large programs 1 ms.
  void apply();
  // Restores every word and definition; calls that are inside a hook finish there.
  void restore();
  // Returns how many words lead to a hook now.
  size_t slotCount();
  // Returns true when an object was being relocated at the last pass: another pass is needed soon.
  bool hasUnready();
  // Returns false when a definition could not be redirected: each new object then needs a pass.
  bool bindsNewObjects();
  // True if objects came or went since apply(); cheap.
  bool isStale();

 private:
  enum class Pass { bind_excepted, hook, restore, count };
  struct Round;
  struct Word {
    const Elf64_Rela& relocation;
    uintptr_t value;
  };

  static int onObject(dl_phdr_info* info, size_t size, void* data);
  void run(Pass pass, size_t* count = nullptr);
  void visit(const LoadedObject& object, Round& round);
  void visitTable(const LoadedObject& object, const Relocations& table, Round& round);
  uintptr_t wanted(const LoadedObject& object, const Word& word, const Round& round) const;
  const Interposed* byReal(uintptr_t word, std::string_view name) const;
  const Interposed* byHook(uintptr_t word) const;
  const Interposed* byName(std::string_view name) const;
  bool isExcepted(const LoadedObject& object) const;
  bool isAllocator(const LoadedObject& object) const;

  const std::vector<Interposed>& functions_;
  // From the lowest address to the highest; most words are in neither range.
  Range reals_;
  Range hooks_;
  std::mutex lock_;
  DefinitionRedirect definitions_;
  bool is_applied_ = false;
  bool has_unready_ = false;
  unsigned long long loads_ = 0;
  unsigned long long unloads_ = 0;
};

}  // namespace memdrift
