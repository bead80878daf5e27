// SPDX-License-Identifier: MIT
// Makes the calls that loaded objects make to certain functions come to our hooks, without a
// restart or a preload. Objects that are loaded now have the words changed through which they call;
// objects that come later are bound to the hooks by the dynamic linker (DefinitionRedirect).
//
// Nothing is remembered of an object: a word that holds a real function's address is changed, one
// that holds a hook's is put back. So an object that was unloaded and replaced cannot be mistaken
// for another, and a lazy binding that was under way is found at the next pass.
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

  // Hooks all objects that are relocated; later calls find what was still being bound or relocated
  // at the earlier ones. Any thread, not in hooks. Takes about 0.1 ms, of large programs 1 ms.
  void apply();
  // Puts every word and definition back; calls that are inside of a hook finish there.
  void restore();
  // The words that lead to a hook now.
  size_t slotCount();
  // True when an object was being relocated at the last pass: another one is needed soon.
  bool hasUnready();
  // False where some definition could not be redirected: then each new object needs a pass.
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
  // From the lowest to the highest: most words are in neither.
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
