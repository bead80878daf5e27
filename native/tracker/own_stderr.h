// SPDX-License-Identifier: MIT
// The standard error that a program was started with, for a line at its end.
#pragma once

#include <sys/types.h>

#include <string_view>

namespace memdrift {

class OwnStderr {
 public:
  // Notes the file behind descriptor 2.
  OwnStderr() noexcept;

  // Writes a line of at most 4 kB. Returns false, and writes nothing, where descriptor 2 is another
  // file by now, since the program's own file must not get our bytes, or where the write would
  // wait for a reader.
  bool write(std::string_view line) const noexcept;

 private:
  bool is_open_;
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace memdrift
