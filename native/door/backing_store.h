// SPDX-License-Identifier: MIT
// The memory of an ArrayBuffer, apart from the ArrayBuffer.
#pragma once

#include <napi.h>

#include <cstddef>
#include <memory>
#include <optional>

namespace memdrift::door {

// A share of V8's BackingStore. While it lives, on any thread, the memory stays allocated and
// belongs to this BackingStore, even when the script transfers or drops the buffer. A resizable one
// may still lose pages: resize() to a smaller size protects them.
class BackingStore {
 public:
  // Returns the share of an ArrayBuffer or a SharedArrayBuffer; nothing where this Node does not
  // export V8's functions.
  static std::optional<BackingStore> of(Napi::Env env, napi_value buffer);

  // Returns whether resize() may take pages away. A SharedArrayBuffer only grows.
  bool canShrink() const { return can_shrink_; }
  // Returns the length now, also after a transfer to another buffer.
  size_t sizeBytes() const;

 private:
  BackingStore(std::shared_ptr<void> store, bool can_shrink)
      : store_(std::move(store)), can_shrink_(can_shrink) {}

  std::shared_ptr<void> store_;
  bool can_shrink_;
};

}  // namespace memdrift::door
