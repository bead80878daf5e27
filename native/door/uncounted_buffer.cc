// SPDX-License-Identifier: MIT
// The types here have the layout that the C++ ABI gives to the types of V8's API; see the names of
// the symbols.
#include "door/uncounted_buffer.h"

#include <memory>
#include <utility>

#include "door/v8_symbol.h"

namespace memdrift::door {

namespace {

using Deleter = void (*)(void*, size_t, void*);

// std::unique_ptr<v8::BackingStore> as a return value: one pointer, returned in memory because its
// destructor is not trivial.
struct UniqueBackingStore {
  UniqueBackingStore() = default;
  UniqueBackingStore(const UniqueBackingStore& other) : pointer(other.pointer) {}
  ~UniqueBackingStore() {}
  void* pointer = nullptr;
};

struct V8Symbols {
  void* (*current_isolate)();
  UniqueBackingStore (*new_backing_store)(void*, size_t, Deleter, void*);
  void (*destroy_backing_store)(void*);
  Deleter empty_deleter;
  // Takes std::shared_ptr<v8::BackingStore>, returns v8::Local<v8::ArrayBuffer>, one pointer.
  napi_value (*new_array_buffer)(void* isolate, std::shared_ptr<void>);

  bool complete() const {
    return current_isolate && new_backing_store && destroy_backing_store && empty_deleter &&
           new_array_buffer;
  }
};

const V8Symbols& symbols() {
  static const V8Symbols resolved = [] {
    V8Symbols all{};
    resolve(all.current_isolate, "_ZN2v87Isolate10GetCurrentEv");
    resolve(all.new_backing_store, "_ZN2v811ArrayBuffer15NewBackingStoreEPvmPFvS1_mS1_ES1_");
    resolve(all.destroy_backing_store, "_ZN2v812BackingStoreD1Ev");
    resolve(all.empty_deleter, "_ZN2v812BackingStore12EmptyDeleterEPvmS1_");
    resolve(all.new_array_buffer,
            "_ZN2v811ArrayBuffer3NewEPNS_7IsolateESt10shared_ptrINS_12BackingStoreEE");
    return all;
  }();
  return resolved;
}

}  // namespace

bool hasUncountedBuffers() { return symbols().complete(); }

Napi::Value newUncountedBuffer(Napi::Env env, const SharedMemory& memory,
                               std::function<void()> onUnreachable) {
  const V8Symbols& v8 = symbols();
  if (!v8.complete()) return Napi::Value();
  const UniqueBackingStore made =
      v8.new_backing_store(memory.bytes, memory.size, v8.empty_deleter, nullptr);
  std::shared_ptr<void> store(made.pointer, [destroy = v8.destroy_backing_store,
                                             ended = std::move(onUnreachable)](void* pointer) {
    destroy(pointer);
    ::operator delete(pointer);
    ended();
  });
  return Napi::Value(env, v8.new_array_buffer(v8.current_isolate(), std::move(store)));
}

}  // namespace memdrift::door
