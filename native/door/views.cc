// SPDX-License-Identifier: MIT
#include "door/views.h"

#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "errors.h"

namespace memdrift::door {

struct SharedView::Watch {
  std::function<void()> on_collected;
};

class SharedView::Keeper {
 public:
  // What ends is let go outside of the lock: it may be a whole store.
  void keep(std::shared_ptr<void> what) {
    const std::lock_guard lock(mutex_);
    if (!ended_) kept_.push_back(std::move(what));
  }
  void end() {
    std::vector<std::shared_ptr<void>> kept;
    const std::lock_guard lock(mutex_);
    ended_ = true;
    kept.swap(kept_);
  }

 private:
  std::mutex mutex_;
  bool ended_ = false;
  std::vector<std::shared_ptr<void>> kept_;
};

namespace {

using HeldWatch = std::shared_ptr<SharedView::Watch>;

uint64_t maxBufferBytes(Napi::Env env) {
  const bool small = Napi::VersionManagement::GetNodeVersion(env)->major < 22;
  return small ? uint64_t{1} << 32 : uint64_t{1} << 53;
}

// Runs once JavaScript can reach the buffer no more, also after detach(), which has taken the
// callback away.
void collected(HeldWatch* held) {
  auto callback = std::exchange((*held)->on_collected, nullptr);
  delete held;
  if (callback) callback();
}

}  // namespace

SharedView::SharedView(Napi::Env env, const SharedMemory& memory, std::function<void()> onCollected)
    : env_(env), memory_(memory), watch_(std::make_shared<Watch>(Watch{std::move(onCollected)})) {
  if (memory.size > maxBufferBytes(env))
    throw Error(ErrorCode::ERR_TOO_LARGE,
                "an ArrayBuffer of " + std::to_string(memory.size) +
                    " bytes is more than this Node has; use Node 22 or later");
  auto* held = new HeldWatch(watch_);
  keeper_ = std::make_shared<Keeper>();
  Napi::Value made = newUncountedBuffer(env, memory, [keeper = keeper_] { keeper->end(); });
  if (made.IsEmpty()) {
    made = Napi::ArrayBuffer::New(
        env, memory.bytes, memory.size, [](Napi::Env, void*, HeldWatch* hint) { collected(hint); },
        held);
    Napi::MemoryManagement::AdjustExternalMemory(env, -static_cast<int64_t>(memory.size));
    counted_ = true;
    keeper_ = nullptr;
  } else {
    made.As<Napi::Object>().AddFinalizer([](Napi::Env, HeldWatch* data) { collected(data); }, held);
  }
  buffer_ = Napi::Reference<Napi::ArrayBuffer>::New(made.As<Napi::ArrayBuffer>(), 0);
}

SharedView::~SharedView() { detach(); }

Napi::Value SharedView::buffer() const { return buffer_.Value(); }

bool SharedView::isMoved() const {
  bool detached = false;
  napi_handle_scope scope = nullptr;
  if (watch_ == nullptr || napi_open_handle_scope(env_, &scope) != napi_ok) return false;
  napi_value buffer = nullptr;
  if (napi_get_reference_value(env_, buffer_, &buffer) == napi_ok && buffer != nullptr)
    napi_is_detached_arraybuffer(env_, buffer, &detached);
  napi_close_handle_scope(env_, scope);
  return detached;
}

void SharedView::keep(std::shared_ptr<void> what) {
  if (keeper_) keeper_->keep(std::move(what));
}

// Also runs from a destructor while Node takes the environment down, when its calls may fail: no
// exception may come of it, which is why Node-API itself is called here.
void SharedView::detach() {
  if (watch_ == nullptr) return;
  watch_->on_collected = nullptr;
  watch_ = nullptr;
  napi_handle_scope scope = nullptr;
  if (napi_open_handle_scope(env_, &scope) == napi_ok) {
    napi_value buffer = nullptr;
    if (napi_get_reference_value(env_, buffer_, &buffer) == napi_ok && buffer != nullptr)
      napi_detach_arraybuffer(env_, buffer);
    napi_close_handle_scope(env_, scope);
  }
  int64_t external_bytes = 0;
  if (counted_)
    napi_adjust_external_memory(env_, static_cast<int64_t>(memory_.size), &external_bytes);
  buffer_.Reset();
}

}  // namespace memdrift::door
