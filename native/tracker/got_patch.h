// SPDX-License-Identifier: MIT
// Makes the calls that loaded objects make to certain functions go to ours instead, by changing the
// words through which they call: no restart, no preload, and each word can be put back.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>
#include <string_view>
#include <vector>

#include "tracker/loaded_object.h"

namespace memdrift {

struct Interposed {
  const char* name;
  void* hook;
  void* real;  // null where this process has no such function
};

// The function that `name` is for the program: that of a preloaded allocator, if there is one.
// Null: there is none.
void* realFunction(const char* name);

class GotPatch {
 public:
  // `functions` outlive it.
  explicit GotPatch(const std::vector<Interposed>& functions);

  // Patches what is loaded now and was not before. Any thread, not in hooks.
  void apply();
  // Puts every word back that is still there; what other threads are inside of goes on.
  void restore();
  // The objects that a patched word was found in, the same ones that slots() counts.
  size_t slotCount();
  // True if objects came or went since apply(); cheap.
  bool isStale();

 private:
  struct Slot {
    uintptr_t* at;
    uintptr_t before;
    uintptr_t hook;
  };
  struct Object {
    std::vector<Slot> slots;
    bool is_present = false;
  };
  struct Pass;

  static int onObject(dl_phdr_info* info, size_t size, void* data);
  void patchObject(const LoadedObject& object, Object& to);
  void patchTable(const LoadedObject& object, const Relocations& table, std::vector<Slot>& found);
  const Interposed* find(std::string_view name) const;
  bool isOurs(const LoadedObject& object) const;
  bool isAllocator(const LoadedObject& object) const;

  const std::vector<Interposed>& functions_;
  std::mutex lock_;
  // By base and address of the dynamic linker's headers: two objects never have both in common.
  std::map<std::pair<uintptr_t, const void*>, Object> objects_;
  Range executable_;
  unsigned long long loads_ = 0;
  unsigned long long unloads_ = 0;
};

}  // namespace memdrift
