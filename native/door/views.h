// SPDX-License-Identifier: MIT
// ArrayBuffers over memory that is not Node's: made, found again, detached.
#pragma once

#include <napi.h>

#include <cstdint>
#include <functional>
#include <memory>

#include "door/uncounted_buffer.h"

namespace memdrift::door {

// An ArrayBuffer over shared memory, held weakly: it lives as long as JavaScript wants it, or until
// detach(). At any address there is at most one such buffer at a time.
//
// V8 does not count it (uncounted_buffer.h), or, where it cannot be kept from it, the count is
// offset while the buffer is attached.
class SharedView {
 public:
  // `onCollected` runs on the environment's thread after JavaScript has dropped a buffer that was
  // never detached. It must not keep the owner of the memory alive. Throws ERR_TOO_LARGE beyond
  // 4 GiB on Node 20, whose V8 would end the process.
  SharedView(Napi::Env env, const SharedMemory& memory, std::function<void()> onCollected);
  ~SharedView();
  SharedView(const SharedView&) = delete;

  // The buffer, or an empty value when it was collected.
  Napi::Value buffer() const;
  // Makes the buffer's length 0, so that nobody can reach the memory through it any more.
  void detach();
  // True if a script has moved the memory to another buffer, maybe another thread's, which detach()
  // cannot reach.
  bool isMoved() const;
  // Keeps `what` alive while anything uses the memory: this buffer, a buffer that a script
  // transferred it to, or work on a pool that holds the BackingStore. `what` may end on any thread,
  // and within detach() when nothing else uses the memory.
  void keep(std::shared_ptr<void> what);

  struct Watch;
  class Keeper;

 private:
  Napi::Env env_;
  SharedMemory memory_;
  bool counted_ = false;
  Napi::Reference<Napi::ArrayBuffer> buffer_;
  std::shared_ptr<Watch> watch_;
  // None where V8 counts the buffer: Node does not let that one be moved.
  std::shared_ptr<Keeper> keeper_;
};

}  // namespace memdrift::door
