// SPDX-License-Identifier: MIT
// Source lines and inlined functions of native code, from the debug info of the files that it was
// loaded from, where there is any and where libdw is installed to read it.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace memdrift {

struct DebugLine {
  std::string function;  // empty: not known
  std::string file;
  uint32_t line = 0;  // 0: not known
  uint32_t column = 0;
  bool is_inlined = false;  // compiled into the function that follows
};

// Lines of one object's code. Reads its debug info at the first question: a unit of compilation at
// the first question about its code. Not thread safe.
class DebugLines {
 public:
  // A file that is gone, unreadable, too big or not the one of `build_id` (empty: any) has no
  // lines. Debug info in a file of its own is looked for where distributions install it and beside
  // the object; never on the network.
  DebugLines(const std::string& path, const std::string& build_id);
  ~DebugLines();
  DebugLines(const DebugLines&) = delete;
  DebugLines& operator=(const DebugLines&) = delete;

  // Innermost first; the last one is the function whose code it is. Empty: not known.
  std::vector<DebugLine> at(uint64_t file_offset) const;

 private:
  class Reader;

  const std::string path_;
  const std::string build_id_;
  mutable bool is_read_ = false;
  mutable std::unique_ptr<Reader> reader_;  // null where there is nothing to read
};

}  // namespace memdrift
