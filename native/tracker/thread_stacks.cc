// SPDX-License-Identifier: MIT
#include "tracker/thread_stacks.h"

#include <atomic>

#include "errors.h"
#include "tracker/own_stack.h"
#include "tracker/session.h"
#include "tracker/stack_nodes.h"

namespace memdrift {

namespace {

// What a thread that is about to begin is to do. From a fixed number: a hook has no heap, and a
// thread has one for a moment only. With none left it starts untold.
struct Beginning {
  std::atomic<bool> is_used;
  NewThread wanted;
  uint32_t maker_stream;
  uint32_t maker_node;
  uint32_t session;
};
Beginning g_beginnings[256];
pthread_key_t g_end_key;
std::atomic<bool> g_has_end_key{false};

Beginning* takeBeginning() noexcept {
  for (Beginning& one : g_beginnings)
    if (!one.is_used.load(std::memory_order_relaxed) && !one.is_used.exchange(true)) return &one;
  return nullptr;
}

void tellStack(const StackEvent& told, uint32_t session) noexcept {
  Recording recording;
  if (!recording || recording.session().number != session) return;
  ThreadTracking& thread = recording.thread();
  StackEvent stack = told;
  stack.address = thread.stack.low;
  stack.bytes = thread.stack.end - thread.stack.low;
  if (stack.bytes == 0) return;
  thread.stream->stack(stack);
  Event event;
  event.type = EventType::stack;
  event.address = stack.address;
  event.bytes = stack.bytes;
  recording.session().mappings.put(event);
}

// When the thread ends; its stack may be another's right after.
void tellEnd(void*) {
  Recording recording;
  if (!recording) return;
  ThreadTracking& thread = recording.thread();
  thread.stream->stackEnd({thread.stack.low, thread.stack.end - thread.stack.low});
  Event event;
  event.type = EventType::stack_end;
  event.address = thread.stack.low;
  recording.session().mappings.put(event);
}

// A thread that the tracker has made, or had made: what it allocates is the tracker's.
void* beginOwnThread(void* argument) {
  auto* beginning = static_cast<Beginning*>(argument);
  const NewThread wanted = beginning->wanted;
  beginning->is_used.store(false, std::memory_order_release);
  t_marks.inside = kInsideForGood;
  return wanted.start(wanted.argument);
}

void* beginThread(void* argument) {
  auto* beginning = static_cast<Beginning*>(argument);
  const NewThread wanted = beginning->wanted;
  const StackEvent told = {beginning->maker_stream, beginning->maker_node, 0, 0};
  const uint32_t session = beginning->session;
  beginning->is_used.store(false, std::memory_order_release);
  rememberOwnStack();
  tellStack(told, session);
  {
    // Some of glibc's keys have their place on the heap.
    const NoReentry guard;
    pthread_setspecific(g_end_key, &g_end_key);
  }
  return wanted.start(wanted.argument);
}

}  // namespace

void prepareThreadStacks() {
  if (g_has_end_key.load()) return;
  const int problem = pthread_key_create(&g_end_key, tellEnd);
  if (problem != 0) throw Error::fromErrno("pthread_key_create", "this process", problem);
  g_has_end_key.store(true);
}

NewThread tellThreadStack(const NewThread& wanted, const void* frame) noexcept {
  if (isInside() && !Recording::hasLeft()) {
    Beginning* beginning = takeBeginning();
    if (!beginning) return wanted;
    beginning->wanted = wanted;
    return {beginOwnThread, beginning};
  }
  Recording recording;
  if (!recording) return wanted;
  Beginning* beginning = takeBeginning();
  if (!beginning) return wanted;
  beginning->wanted = wanted;
  beginning->maker_node = currentStack(recording, frame);
  beginning->maker_stream = recording.thread().stream->index();
  beginning->session = recording.session().number;
  return {beginThread, beginning};
}

void forgetThreadStack(const NewThread& told) noexcept {
  if (told.start != beginThread && told.start != beginOwnThread) return;
  static_cast<Beginning*>(told.argument)->is_used.store(false, std::memory_order_release);
}

}  // namespace memdrift
