// SPDX-License-Identifier: MIT
// How to get from one frame of native code to the one that called it: from the tables that
// compilers write for exceptions (.eh_frame, in the DWARF standard's chapter on call frames).
#pragma once

#include <cstdint>

#include "tracker/frame_bytes.h"

namespace memdrift {

// Where a frame's caller is, at one place in the code. All that compilers make is covered but for
// a few hand-written functions, at which a walk ends.
struct FrameRule {
  enum class Kind : uint8_t {
    frame_pointer,  // rbp points to the caller's rbp, and behind it is where the call returns to
    stack_pointer,  // that place is `cfa_offset` - 8 beyond rsp
    base_pointer,   // that place is `cfa_offset` - 8 beyond rbp
    end,            // there is no caller
  };
  Kind kind = Kind::frame_pointer;
  bool saves_rbp = false;
  int32_t cfa_offset = 0;
  int32_t rbp_offset = 0;  // of the caller's rbp from the CFA, where it is saved

  bool operator==(const FrameRule&) const = default;
};

// The rule for code that a call returns to at `pc`, inside of an object whose table of frames is at
// `eh_frame_hdr` (0: it has none). Code that no table knows is taken to have a frame pointer.
// No heap, no lock: for hooks.
FrameRule frameRule(FrameBytes& bytes, uintptr_t eh_frame_hdr, uintptr_t pc) noexcept;

}  // namespace memdrift
