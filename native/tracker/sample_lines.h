// SPDX-License-Identifier: MIT
// The line that V8 notes with every sample of a profile, and has no function to ask for: that of
// the innermost function where this calls nothing that V8 has a name for, as an allocation of its
// own. Read from where V8 keeps its samples, and used where what is beside it is what V8 says.
#pragma once

#include <cstddef>
#include <cstdint>

#include "tracker/v8_profiler.h"

namespace memdrift {

// Of one stopped profile, on any thread, while it is not destroyed.
class SampleLines {
 public:
  SampleLines(const v8_api::ProfilerApi& api, const v8_api::Profile* profile);

  // Of the `i`th sample; 0: not known.
  uint32_t line(int i) const noexcept;

 private:
  // A sample as V8 keeps it: more is behind these.
  struct Kept {
    const v8_api::ProfileNode* node;
    int64_t time_us;
    int32_t line;
  };
  // A std::deque's begin(), as libstdc++ has it.
  struct Begin {
    uintptr_t at;
    uintptr_t block;
    uintptr_t block_end;
    uintptr_t blocks;  // where the pointers to this block and to those behind it are
  };
  bool isOf(const Kept& kept, int i) const noexcept;
  bool read(size_t kept_bytes, int i, Kept& kept) const noexcept;
  void find();

  const v8_api::ProfilerApi& api_;
  const v8_api::Profile* profile_;
  Begin begin_ = {};
  size_t kept_bytes_ = 0;  // 0: not found
};

}  // namespace memdrift
