// SPDX-License-Identifier: MIT
// Tells whether the dynamic linker has relocated an object. The linker lists objects before it
// relocates them: until then their words hold file offsets, and a page that we make read-only
// meanwhile ends the process.
#pragma once

#include <link.h>

#include <cstdint>
#include <string>
#include <vector>

#include "objects/loaded_object.h"

namespace memdrift {

// An object found by a code address in glibc's lock-free index (2.35 and later).
struct FoundObject {
  Range image;
  uintptr_t eh_frame_hdr = 0;
};

// Finds the object at `at`; returns false when the index has none. Safe in hooks: no lock, no heap.
// The object may be unloaded at any time afterwards.
bool findObject(uintptr_t at, FoundObject& found) noexcept;
// Returns false when this glibc has no such index.
bool hasObjectIndex() noexcept;

// Answers for the objects of one dl_iterate_phdr pass. glibc 2.35 and later add an object to their
// index once it is relocated as a whole, with all that it needs, and before its constructors run.
// With an earlier glibc protection tells: RELRO becomes read-only at the end of relocation.
class RelocationState {
 public:
  // With `use_index` false, decides by protection even where glibc has the index. For tests.
  explicit RelocationState(bool use_index = hasObjectIndex());

  // Call it inside dl_iterate_phdr's callback only.
  bool isRelocated(const dl_phdr_info& info);

 private:
  bool isProtected(const Range& pages);

  bool use_index_;
  bool has_read_ = false;
  std::vector<Range> writable_;  // mappings, sorted
};

}  // namespace memdrift
