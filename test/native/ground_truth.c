// SPDX-License-Identifier: MIT
// An addon that allocates what it is told to, by every function that the tracker hooks, so that
// tests know the answer. Compiled by test/ground_truth.ts; C, as most addons' allocations are.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <malloc.h>
#include <node_api.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

static double numberAt(napi_env env, napi_value value) {
  double number = 0;
  napi_get_value_double(env, value, &number);
  return number;
}

static size_t arguments(napi_env env, napi_callback_info info, double out[8]) {
  napi_value values[8];
  size_t count = 8;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  for (size_t i = 0; i < 8; i++) out[i] = i < count ? numberAt(env, values[i]) : 0;
  return count;
}

static napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

static void* pointer(double value) { return (void*)(uintptr_t)value; }
static napi_value address(napi_env env, void* at) { return number(env, (double)(uintptr_t)at); }

// Written to, so that no compiler drops a block that nobody reads.
static void* volatile g_sink;

#define FUNCTION(name) static napi_value name(napi_env env, napi_callback_info info)
#define TAKE   \
  double v[8]; \
  arguments(env, info, v)

FUNCTION(callMalloc) {
  TAKE;
  return address(env, g_sink = malloc((size_t)v[0]));
}
FUNCTION(callCalloc) {
  TAKE;
  return address(env, g_sink = calloc((size_t)v[0], 1));
}
FUNCTION(callRealloc) {
  TAKE;
  return address(env, g_sink = realloc(pointer(v[1]), (size_t)v[0]));
}
FUNCTION(callReallocarray) {
  TAKE;
  return address(env, g_sink = reallocarray(pointer(v[1]), (size_t)v[0], 1));
}
FUNCTION(callPosixMemalign) {
  TAKE;
  void* block = NULL;
  if (posix_memalign(&block, 256, (size_t)v[0]) != 0) block = NULL;
  return address(env, g_sink = block);
}
FUNCTION(callAlignedAlloc) {
  TAKE;
  return address(env, g_sink = aligned_alloc(64, (size_t)v[0]));
}
FUNCTION(callMemalign) {
  TAKE;
  return address(env, g_sink = memalign(64, (size_t)v[0]));
}
FUNCTION(callValloc) {
  TAKE;
  return address(env, g_sink = valloc((size_t)v[0]));
}
FUNCTION(callPvalloc) {
  TAKE;
  return address(env, g_sink = pvalloc((size_t)v[0]));
}
FUNCTION(callFree) {
  TAKE;
  free(pointer(v[0]));
  return NULL;
}
FUNCTION(callMmap) {
  TAKE;
  return address(
      env, mmap(NULL, (size_t)v[0], PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
FUNCTION(callReserve) {
  TAKE;
  return address(env, mmap(NULL, (size_t)v[0], PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
}
FUNCTION(touch) {
  TAKE;
  memset(pointer(v[0]), 1, (size_t)v[1]);
  return NULL;
}
FUNCTION(callMunmap) {
  TAKE;
  return number(env, munmap(pointer(v[0]), (size_t)v[1]));
}
FUNCTION(callMremap) {
  TAKE;
  const int flags = MREMAP_MAYMOVE | (int)v[3];
  return address(env, mremap(pointer(v[0]), (size_t)v[1], (size_t)v[2], flags));
}
FUNCTION(callMprotect) {
  TAKE;
  return number(env, mprotect(pointer(v[0]), (size_t)v[1], (int)v[2]));
}
FUNCTION(callMadvise) {
  TAKE;
  return number(env, madvise(pointer(v[0]), (size_t)v[1], (int)v[2]));
}
// libc allocates in the caller's name.
FUNCTION(callStrdup) {
  TAKE;
  char* text = malloc((size_t)v[0]);
  memset(text, 'x', (size_t)v[0] - 1);
  text[(size_t)v[0] - 1] = 0;
  void* copy = strdup(text);
  free(text);
  return address(env, g_sink = copy);
}

static double nowNs(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec * 1e9 + (double)now.tv_nsec;
}

// Two threads may be in it at once.
static void __attribute__((noinline)) pairs(size_t count, size_t bytes) {
  for (size_t i = 0; i < count; i++) {
    void* volatile block = malloc(bytes);
    free(block);
  }
}

// loop(pairs, bytes): ns that so many malloc and free took.
FUNCTION(loop) {
  TAKE;
  const double start = nowNs();
  pairs((size_t)v[0], (size_t)v[1]);
  return number(env, nowNs() - start);
}

// pair(bytes): one malloc and free, to be called under many stacks.
FUNCTION(pair) {
  TAKE;
  pairs(1, (size_t)v[0]);
  return NULL;
}

struct Turns {
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int turn;
  int rounds;
  size_t bytes;
};

static void waitFor(struct Turns* turns, int turn) {
  pthread_mutex_lock(&turns->lock);
  while (turns->turn != turn) pthread_cond_wait(&turns->changed, &turns->lock);
  pthread_mutex_unlock(&turns->lock);
}

static void passTo(struct Turns* turns, int turn) {
  pthread_mutex_lock(&turns->lock);
  turns->turn = turn;
  pthread_cond_broadcast(&turns->changed);
  pthread_mutex_unlock(&turns->lock);
}

static void* otherThread(void* data) {
  struct Turns* turns = data;
  for (int i = 0; i < turns->rounds; i++) {
    waitFor(turns, 1);
    void* volatile block = malloc(turns->bytes);
    passTo(turns, 0);
    waitFor(turns, 1);
    free(block);
    passTo(turns, 0);
  }
  return NULL;
}

// takeTurns(rounds, bytes): two threads, each of which allocates only when the other has freed:
// never more than `bytes` at once.
FUNCTION(takeTurns) {
  TAKE;
  struct Turns turns = {PTHREAD_MUTEX_INITIALIZER, PTHREAD_COND_INITIALIZER, 0, (int)v[0],
                        (size_t)v[1]};
  pthread_t thread;
  pthread_create(&thread, NULL, otherThread, &turns);
  for (int i = 0; i < turns.rounds; i++) {
    void* volatile block = malloc(turns.bytes);
    free(block);
    passTo(&turns, 1);
    waitFor(&turns, 0);
    passTo(&turns, 1);
    waitFor(&turns, 0);
  }
  pthread_join(thread, NULL);
  return NULL;
}

struct Allocate {
  size_t bytes;
  void* block;
};

static void* __attribute__((noinline)) groundTruthThread(void* data) {
  struct Allocate* order = data;
  order->block = malloc(order->bytes);
  return NULL;
}

// inThread(bytes): a block that another thread made, which has ended.
FUNCTION(inThread) {
  TAKE;
  struct Allocate order = {(size_t)v[0], NULL};
  pthread_t thread;
  pthread_create(&thread, NULL, groundTruthThread, &order);
  pthread_join(thread, NULL);
  return address(env, order.block);
}

struct Stay {
  size_t bytes;
  pthread_mutex_t lock;
  pthread_cond_t changed;
  int has_touched;
  int may_end;
};

static void* stayingThread(void* data) {
  struct Stay* stay = data;
  volatile char* stack = __builtin_alloca(stay->bytes);
  for (size_t i = 0; i < stay->bytes; i += 4096) stack[i] = 1;
  pthread_mutex_lock(&stay->lock);
  stay->has_touched = 1;
  pthread_cond_broadcast(&stay->changed);
  while (!stay->may_end) pthread_cond_wait(&stay->changed, &stay->lock);
  pthread_mutex_unlock(&stay->lock);
  return NULL;
}

// touchStack(bytes, stays): a thread that touches so much of its stack, and stays or ends.
FUNCTION(touchStack) {
  TAKE;
  struct Stay* stay = calloc(1, sizeof *stay);
  stay->bytes = (size_t)v[0];
  stay->may_end = v[1] == 0;
  pthread_mutex_init(&stay->lock, NULL);
  pthread_cond_init(&stay->changed, NULL);
  pthread_t thread;
  pthread_create(&thread, NULL, stayingThread, stay);
  if (stay->may_end) {
    pthread_join(thread, NULL);
    return NULL;
  }
  pthread_mutex_lock(&stay->lock);
  while (!stay->has_touched) pthread_cond_wait(&stay->changed, &stay->lock);
  pthread_mutex_unlock(&stay->lock);
  return NULL;
}

static pthread_t asking_thread;
static int asking_pipe[2];

static void* askingThread(void* data) {
  char byte;
  if (read(asking_pipe[0], &byte, 1) != 1) return data;
  pthread_attr_t attributes;
  pthread_getattr_np(pthread_self(), &attributes);
  pthread_attr_destroy(&attributes);
  return data;
}

// startAsking(): a thread that will ask glibc where its stack is, which takes heap under a lock of
// the thread. askNow(seconds): 1 if it had the answer in that time.
FUNCTION(startAsking) {
  (void)info;
  if (pipe(asking_pipe) != 0) return NULL;
  return number(env, pthread_create(&asking_thread, NULL, askingThread, NULL));
}
FUNCTION(askNow) {
  TAKE;
  struct timespec until;
  clock_gettime(CLOCK_REALTIME, &until);
  until.tv_sec += (time_t)v[0];
  if (write(asking_pipe[1], "", 1) != 1) return NULL;
  return number(env, pthread_timedjoin_np(asking_thread, NULL, &until) == 0);
}

struct Work {
  size_t pairs;
  size_t bytes;
};

static void* busyThread(void* data) {
  struct Work* work = data;
  pairs(work->pairs, work->bytes);
  return NULL;
}

// inThreads(threads, pairs, bytes): ns until all have done so many pairs.
FUNCTION(inThreads) {
  TAKE;
  struct Work work = {(size_t)v[1], (size_t)v[2]};
  pthread_t threads[64];
  const int count = v[0] > 64 ? 64 : (int)v[0];
  const double start = nowNs();
  for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, busyThread, &work);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  return number(env, nowNs() - start);
}

// forks(times): children that allocate and end, while whoever else allocates too; how many did not
// end well.
FUNCTION(forks) {
  TAKE;
  int bad = 0;
  for (int i = 0; i < (int)v[0]; i++) {
    const pid_t child = fork();
    if (child == 0) {
      for (int j = 0; j < 10; j++) free(g_sink = malloc(100 + (size_t)j));
      _exit(0);
    }
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child || status != 0) bad++;
  }
  return number(env, bad);
}

// openObject(path), closeObject(handle): dlopen and dlclose.
FUNCTION(openObject) {
  char path[4096];
  napi_value value;
  size_t count = 1;
  napi_get_cb_info(env, info, &count, &value, NULL, NULL);
  napi_get_value_string_utf8(env, value, path, sizeof path, &count);
  return address(env, dlopen(path, RTLD_NOW | RTLD_LOCAL));
}
FUNCTION(closeObject) {
  TAKE;
  return number(env, dlclose(pointer(v[0])));
}
// callObject(handle, bytes): the block that the object's `allocate` returns.
FUNCTION(callObject) {
  TAKE;
  void* (*allocate)(size_t) = (void* (*)(size_t))dlsym(pointer(v[0]), "allocate");
  return address(env, allocate ? allocate((size_t)v[1]) : NULL);
}

FUNCTION(abortNow) {
  (void)env;
  (void)info;
  abort();
}

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
  static const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"malloc", callMalloc},
      {"calloc", callCalloc},
      {"realloc", callRealloc},
      {"reallocarray", callReallocarray},
      {"posix_memalign", callPosixMemalign},
      {"aligned_alloc", callAlignedAlloc},
      {"memalign", callMemalign},
      {"valloc", callValloc},
      {"pvalloc", callPvalloc},
      {"strdup", callStrdup},
      {"free", callFree},
      {"mmap", callMmap},
      {"reserve", callReserve},
      {"touch", touch},
      {"munmap", callMunmap},
      {"mremap", callMremap},
      {"mprotect", callMprotect},
      {"madvise", callMadvise},
      {"loop", loop},
      {"pair", pair},
      {"takeTurns", takeTurns},
      {"inThread", inThread},
      {"inThreads", inThreads},
      {"touchStack", touchStack},
      {"startAsking", startAsking},
      {"askNow", askNow},
      {"forks", forks},
      {"openObject", openObject},
      {"closeObject", closeObject},
      {"callObject", callObject},
      {"abortNow", abortNow},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
