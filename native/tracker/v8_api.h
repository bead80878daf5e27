// SPDX-License-Identifier: MIT
// The few functions of V8 and Node that the tracker calls, found by name when it starts: so that
// one binary serves every Node, and a Node that lacks one is tracked without JavaScript stacks.
// The structures are those of v8-callbacks.h and v8-unwinder.h, the same from Node 20 to 26.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memdrift::v8_api {

struct Isolate;  // V8's

struct RegisterState {
  const void* pc;
  const void* sp;
  const void* fp;
  const void* lr;
  void* callee_saved;
};

struct SampleInfo {
  size_t frames_count;
  void* external_callback_entry;
  void* context;
  void* embedder_context;
  // Two bytes since Node 22, four before: only what is in both is looked at.
  uint16_t vm_state;
  uint16_t rest[3];
};

inline constexpr uint16_t kCollectingGarbage = 1;

struct JitCodeEvent {
  enum Type : int { kAdded, kMoved, kRemoved };
  int type;
  int code_type;
  uintptr_t code_start;
  size_t code_bytes;
  void* script;
  void* user_data;
  void* wasm_source;
  union {
    struct {
      const char* text;
      size_t bytes;
    } name;                    // of code that was added
    uintptr_t new_code_start;  // of code that was moved
    uintptr_t line_info[3];
  };
  Isolate* isolate;
};
static_assert(offsetof(JitCodeEvent, name) == 48 && offsetof(JitCodeEvent, isolate) == 72);

// The beginning of v8::HeapStatistics, which has stayed the same; V8 writes all of it.
struct HeapStatistics {
  size_t total_heap_size;
  size_t total_heap_size_executable;
  size_t total_physical_size;
  size_t total_available_size;
  size_t used_heap_size;
  size_t heap_size_limit;
  size_t malloced_memory;
  size_t external_memory;
  size_t rest[56];
};

using JitCodeHandler = void (*)(const JitCodeEvent*);
enum JitCodeOptions : int { kDefault = 0, kEnumerateExisting = 1 };

struct Api {
  Isolate* (*tryGetCurrent)();
  bool (*inContext)(Isolate*);
  void (*requestInterrupt)(Isolate*, void (*callback)(Isolate*, void*), void* data);
  void (*getStackSample)(Isolate*, const RegisterState&, void** frames, size_t limit, SampleInfo*);
  void (*setJitCodeEventHandler)(Isolate*, JitCodeOptions, JitCodeHandler);
  void (*getCodeRange)(Isolate*, void** begin, size_t* bytes);
  void* (*currentEventLoop)(Isolate*);  // null: there is no environment yet
  void (*addCleanupHook)(Isolate*, void (*callback)(void*), void* data);
  void (*removeCleanupHook)(Isolate*, void (*callback)(void*), void* data);
  // May be missing.
  void (*getHeapStatistics)(Isolate*, HeapStatistics*);
};

// Null where this process lacks one of them, or is not Node.
const Api* api() noexcept;

}  // namespace memdrift::v8_api
