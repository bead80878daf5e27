// SPDX-License-Identifier: MIT
// Makes the dynamic linker itself bind functions to our hooks, by changing the addresses in the
// symbol table of the object that defines them. An object that is loaded from then on needs no
// word changed: its relocation, its first lazy call and its constructors find the hook.
#pragma once

#include <cstdint>
#include <vector>

#include "objects/loaded_object.h"
#include "tracker/interposed.h"

namespace memdrift {

// Inside dl_iterate_phdr's callback throughout, one thread at a time.
class DefinitionRedirect {
 public:
  // Of a relocated object: redirects the definitions in it whose address is that of a real
  // function. Again without effect.
  void apply(const LoadedObject& object, const std::vector<Interposed>& functions);
  // Puts back what apply() changed in this object.
  void restore(const LoadedObject& object);
  // True when every function had a definition that could be redirected: then objects that come
  // later need no look.
  bool isWhole(const std::vector<Interposed>& functions) const;
  void forget() { changes_.clear(); }

 private:
  struct Change {
    uintptr_t at;  // the word in the symbol table
    uintptr_t before;
    uintptr_t ours;
    const void* hook;
  };

  std::vector<Change> changes_;
};

}  // namespace memdrift
