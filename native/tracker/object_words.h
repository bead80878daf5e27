// SPDX-License-Identifier: MIT
// Changes words of a loaded object, in pages that may be read-only.
#pragma once

#include <cstdint>

#include "objects/loaded_object.h"

namespace memdrift {

// Makes a page writable for a store and restores the segment's protection afterwards.
class ObjectWords {
 public:
  explicit ObjectWords(const LoadedObject& object) noexcept : object_(object) {}
  ~ObjectWords() { closeRelro(); }
  ObjectWords(const ObjectWords&) = delete;
  ObjectWords& operator=(const ObjectWords&) = delete;

  static uintptr_t load(uintptr_t at) noexcept;
  // Stores a word that relocation writes; returns false when its page cannot be written.
  bool storeRelocated(uintptr_t at, uintptr_t value) noexcept;
  // Stores a word of a segment that is read-only from the start.
  bool storeConstant(uintptr_t at, uintptr_t value) noexcept;

 private:
  static void store(uintptr_t at, uintptr_t value) noexcept;
  void closeRelro() noexcept;

  const LoadedObject& object_;
  bool is_relro_open_ = false;
};

}  // namespace memdrift
