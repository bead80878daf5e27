// SPDX-License-Identifier: MIT
// What code is loaded: for walks through native frames, and for the capture, which names it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "tracker/loaded_object.h"

namespace memdrift {

struct Module {
  Range image;
  Range text;
  uintptr_t base;
  uint64_t text_file_offset;
  const uint8_t* eh_frame_hdr;
  std::string path;
  std::string build_id;  // bytes
};

// Hooks read it while another thread brings it up to date: they see one state or the next.
class ModuleTable {
 public:
  // Takes in what the dynamic linker has now; calls back for modules that were not there before.
  // One thread at a time; not in hooks.
  void update(const std::function<void(const Module&)>& on_new);

  // The module whose code is at `pc`, null when there is none. In hooks; the answer holds while
  // that code is on the caller's stack.
  const Module* find(uintptr_t pc) const noexcept;
  // The executable's code.
  Range executableText() const noexcept { return executable_text_; }
  // Changes when an address may have come to be of another module.
  uint32_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }

 private:
  using State = std::vector<Module>;  // sorted by address

  std::atomic<const State*> state_{nullptr};
  std::atomic<uint32_t> generation_{1};
  // All that hooks may still look at: there are as many as times that something was loaded.
  std::vector<std::unique_ptr<const State>> states_;
  Range executable_text_;
};

}  // namespace memdrift
