// SPDX-License-Identifier: MIT
// The child that walks this process's heap as it is when it is made.
#pragma once

#include "drift/allocator.h"
#include "drift/walk_result.h"

namespace memdrift {

// Memory that this process and its children share, for one result.
class SharedResult {
 public:
  SharedResult();  // throws ERR_NO_MEMORY, ERR_SYSTEM
  ~SharedResult();
  SharedResult(const SharedResult&) = delete;
  SharedResult& operator=(const SharedResult&) = delete;

  WalkResult& operator*() const { return *result_; }
  WalkResult* operator->() const { return result_; }

 private:
  WalkResult* result_;
};

struct ChildEnd {
  int signal;    // that ended it; 0: it ended as it should
  bool is_late;  // it was ended, since it took too long
  double fork_ms, walk_ms;
};

// Makes the child, waits until it has ended, however it does: `result` says how far it came.
// Throws ERR_SYSTEM or ERR_NO_MEMORY when there is no child to be had.
ChildEnd walkInChild(const Allocator& allocator, WalkResult& result);

}  // namespace memdrift
