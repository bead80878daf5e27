// SPDX-License-Identifier: MIT
// Whether the dynamic linker has finished with an object. It lists objects before it relocates
// them: until then their words hold offsets of the file, and a page that somebody else makes
// read-only meanwhile ends the process.
#pragma once

#include <link.h>

#include <cstdint>
#include <string>
#include <vector>

#include "objects/loaded_object.h"

namespace memdrift {

// The object whose code is at an address, by glibc's own lock-free index (2.35 and later).
struct FoundObject {
  Range image;
  uintptr_t eh_frame_hdr = 0;
};

// True and the object, when the index has one at `at`. In hooks: no lock, no heap. The object may
// be unloaded at any time after.
bool findObject(uintptr_t at, FoundObject& found) noexcept;
// False: this glibc has no such index.
bool hasObjectIndex() noexcept;

// Answers for the objects of one dl_iterate_phdr pass. glibc 2.35 and later add an object to their
// index once it is relocated as a whole, with all that it needs, and before its constructors run.
// Earlier ones tell by their protection: RELRO becomes read-only at the end of relocation.
class RelocationState {
 public:
  // `use_index` false: by protection, whatever this glibc has. For tests.
  explicit RelocationState(bool use_index = hasObjectIndex());

  // Only inside dl_iterate_phdr's callback.
  bool isRelocated(const dl_phdr_info& info);

 private:
  bool isProtected(const Range& pages);

  bool use_index_;
  bool has_read_ = false;
  std::vector<Range> writable_;  // mappings, sorted
};

}  // namespace memdrift
