// SPDX-License-Identifier: MIT
#include "tracker/definition_redirect.h"

#include <algorithm>

#include "tracker/object_words.h"

namespace memdrift {

void DefinitionRedirect::apply(const LoadedObject& object,
                               const std::vector<Interposed>& functions) {
  ObjectWords words(object);
  for (const Interposed& function : functions) {
    // Most objects define none of them, and the executable may name some that it only calls.
    if (!function.real || !object.image.contains(function.realAddress())) continue;
    object.forEachDefinition(function.name, [&](const Elf64_Sym& symbol) {
      if (object.base + symbol.st_value != function.realAddress()) return;
      const Change change = {reinterpret_cast<uintptr_t>(&symbol.st_value), symbol.st_value,
                             function.hookAddress() - object.base, function.hook};
      if (words.storeConstant(change.at, change.ours)) changes_.push_back(change);
    });
  }
}

void DefinitionRedirect::restore(const LoadedObject& object) {
  ObjectWords words(object);
  std::erase_if(changes_, [&](const Change& change) {
    const bool is_here = object.image.contains(change.at);
    if (is_here && ObjectWords::load(change.at) == change.ours)
      words.storeConstant(change.at, change.before);
    return is_here;
  });
}

bool DefinitionRedirect::isWhole(const std::vector<Interposed>& functions) const {
  return std::all_of(functions.begin(), functions.end(), [&](const Interposed& function) {
    return !function.real || std::any_of(changes_.begin(), changes_.end(), [&](const Change& one) {
      return one.hook == function.hook;
    });
  });
}

}  // namespace memdrift
