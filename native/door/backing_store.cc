// SPDX-License-Identifier: MIT
#include "door/backing_store.h"

#include <utility>

#include "door/v8_symbol.h"

namespace memdrift::door {

namespace {

// A member function takes the address of its object as its first argument, after that of a result
// that is returned in memory. A napi_value is the address of an object of v8::Local.
using GetBackingStore = std::shared_ptr<void> (*)(napi_value buffer);

struct V8Symbols {
  GetBackingStore of_buffer;
  GetBackingStore of_shared;
  bool (*is_resizable)(const void* store);
  size_t (*size_bytes)(const void* store);

  bool complete() const { return of_buffer && of_shared && is_resizable && size_bytes; }
};

const V8Symbols& symbols() {
  static const V8Symbols resolved = [] {
    V8Symbols all{};
    resolve(all.of_buffer, "_ZN2v811ArrayBuffer15GetBackingStoreEv");
    resolve(all.of_shared, "_ZN2v817SharedArrayBuffer15GetBackingStoreEv");
    resolve(all.is_resizable, "_ZNK2v812BackingStore27IsResizableByUserJavaScriptEv");
    resolve(all.size_bytes, "_ZNK2v812BackingStore10ByteLengthEv");
    return all;
  }();
  return resolved;
}

}  // namespace

std::optional<BackingStore> BackingStore::of(Napi::Env env, napi_value buffer) {
  const V8Symbols& v8 = symbols();
  bool is_plain = false;
  if (!v8.complete() || napi_is_arraybuffer(env, buffer, &is_plain) != napi_ok) return std::nullopt;
  std::shared_ptr<void> store = is_plain ? v8.of_buffer(buffer) : v8.of_shared(buffer);
  if (!store) return std::nullopt;
  const bool can_shrink = is_plain && v8.is_resizable(store.get());
  return BackingStore(std::move(store), can_shrink);
}

size_t BackingStore::sizeBytes() const { return symbols().size_bytes(store_.get()); }

}  // namespace memdrift::door
