// SPDX-License-Identifier: MIT
// Which function's code is where: V8 says when it makes, moves or drops some. Each piece of code
// has a number for the capture, which stays with it when it moves.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "analysis/code_names.h"
#include "capture/code_stream.h"

namespace memdrift {

struct CodeRange {
  uint32_t isolate;
  uintptr_t begin;
  size_t bytes;
};

// A place in a piece of code.
struct CodePlace {
  uint32_t code;             // its number, from 1
  uint32_t offset;           // of the place, in bytes
  bool is_function = false;  // of JavaScript, not one of V8's builtins
};

class CodeTable {
 public:
  // V8's side; any thread, not in hooks. True when the address was other code's before.
  bool add(const CodeRange& range, CodeKind kind, std::string_view name);
  bool move(uintptr_t from, uintptr_t to);
  void remove(uintptr_t begin);
  void dropIsolate(uint32_t isolate);
  void clear();

  // In hooks: what calls from `pc`'s place. False when it is no known code, or when the table was
  // being changed for longer than a hook may wait.
  bool find(uintptr_t pc, CodePlace& place) noexcept;

  // Of a number that find() gave. Not in hooks.
  FunctionName nameOf(uint32_t code);

  // Calls back for code that find() has named since the last call, in the order of numbers. One
  // thread; not in hooks.
  void takeUsed(const std::function<void(const CodeEvent&)>& callback);

  // Hooks that met a table in use.
  uint64_t busyCount() const noexcept { return busy_.load(std::memory_order_relaxed); }

 private:
  struct Piece {
    size_t bytes;
    uint32_t code;
    uint32_t isolate;
  };
  struct Name {
    CodeKind kind;
    uint32_t isolate;
    std::string text;
    bool is_function;
    bool is_used = false;
  };
  // Held for moments only; hooks try for a while, others as long as it takes.
  class Hold;

  bool put(uintptr_t begin, const Piece& piece);

  std::atomic<bool> is_held_{false};
  std::atomic<uint64_t> busy_{0};
  std::map<uintptr_t, Piece> pieces_;
  std::vector<Name> names_;     // code number - 1
  std::vector<uint32_t> used_;  // codes that find() named first; room for all is kept
};

}  // namespace memdrift
