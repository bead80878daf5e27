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

// Used inside dl_iterate_phdr's callback only, by one thread at a time.
class DefinitionRedirect {
 public:
  // Redirects the definitions in a relocated object whose address is a real function's. A second
  // call changes nothing.
  void apply(const LoadedObject& object, const std::vector<Interposed>& functions);
  // Restores what apply() changed in this object.
  void restore(const LoadedObject& object);
  // Returns true when every function had a definition that could be redirected: later objects then
  // need no pass.
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
