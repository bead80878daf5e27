// SPDX-License-Identifier: MIT
// ArrayBuffers that V8 does not count as memory of this process, because they are not.
#pragma once

#include <napi.h>

#include <cstddef>
#include <functional>

namespace memdrift::door {

struct SharedMemory {
  void* bytes;
  size_t size;
};

// An ArrayBuffer over `bytes`, which must outlive it, that adds nothing to V8's external memory.
//
// Node-API's own external ArrayBuffers are counted with their full length: a view of 100 MB of a
// shared store makes V8 start or advance a collection, 0.5 to 7 ms, at every get, and raises
// `external` by memory that is not there. Subtracting it again comes too late, or, before, lowers
// the mark that the next collection is measured from. V8 does not count a backing store whose
// deleter is its own EmptyDeleter; that is reached through the C++ symbols that node exports, the
// same from Node 20 to 26.
//
// `onUnreachable` runs on any thread, once no buffer of any isolate has the memory: scripts may
// move it from one to another (postMessage with a transfer list, ArrayBuffer.prototype.transfer).
//
// Empty when this Node does not have them: the caller then makes an ordinary external ArrayBuffer.
Napi::Value newUncountedBuffer(Napi::Env env, const SharedMemory& memory,
                               std::function<void()> onUnreachable);

// True if newUncountedBuffer works in this Node.
bool hasUncountedBuffers();

}  // namespace memdrift::door
