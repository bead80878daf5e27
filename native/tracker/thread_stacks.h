// SPDX-License-Identifier: MIT
// Threads that a program makes while it is tracked: whose stack is where, and from when to when.
#pragma once

#include <pthread.h>

namespace memdrift {

// Finds what a thread's end is told by. Before the first session; not in hooks.
void prepareThreadStacks();

struct NewThread {
  void* (*start)(void*);
  void* argument;
};

// In the hook of pthread_create, whose frame is `frame`: what to start instead, so that the stack
// is told on the thread itself. The same when nothing is recorded.
NewThread tellThreadStack(const NewThread& wanted, const void* frame) noexcept;
// The thread was not made after all.
void forgetThreadStack(const NewThread& told) noexcept;

}  // namespace memdrift
