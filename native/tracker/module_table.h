// SPDX-License-Identifier: MIT
// What code is loaded: for walks through native frames, and for the capture, which names it.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "objects/loaded_object.h"
#include "tracker/frame_bytes.h"

namespace memdrift {

struct Module {
  Range image;
  Range text;
  uintptr_t base;
  uint64_t text_file_offset;
  uintptr_t eh_frame_hdr;  // 0: it has none
  std::string path;
  std::string build_id;  // bytes
  // Null: its file cannot be read.
  std::shared_ptr<const FrameView> frames;
};

// Hooks read it while another thread brings it up to date: they see one state or the next.
class ModuleTable {
 public:
  ModuleTable() = default;
  ~ModuleTable() { delete state_.load(); }
  ModuleTable(const ModuleTable&) = delete;
  ModuleTable& operator=(const ModuleTable&) = delete;

  // Takes in what the dynamic linker has now; calls back for modules that were not there before.
  // One thread at a time; not in hooks. The first module is the executable, whose tables no walk
  // needs.
  void update(const std::function<void(const Module&)>& on_new);

  // Returns the module whose code is at `pc`, or null. Safe in hooks; the answer holds for the rest
  // of the hook.
  const Module* find(uintptr_t pc) const noexcept;
  // The executable's code.
  Range executableText() const noexcept { return executable_text_; }
  // Changes when an address may have come to be of another module.
  uint32_t generation() const noexcept { return generation_.load(std::memory_order_relaxed); }

  // Returns the number of earlier states, which hooks that began before the last update() may still
  // read.
  size_t retiredCount() const noexcept { return retired_.size(); }
  // Frees the `count` oldest of them. All hooks of their time must have ended.
  void freeRetired(size_t count) {
    retired_.erase(retired_.begin(), retired_.begin() + static_cast<ptrdiff_t>(count));
  }

 private:
  using State = std::vector<Module>;  // sorted by address

  std::atomic<const State*> state_{nullptr};
  std::atomic<uint32_t> generation_{1};
  std::vector<std::unique_ptr<const State>> retired_;
  Range executable_text_;
};

}  // namespace memdrift
