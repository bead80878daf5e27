// SPDX-License-Identifier: MIT
// An addon that brings memory into a state that is known: held, freed behind pins, in caches, in
// threads' arenas, on stacks, in mappings. It says how many bytes it made so, by its own arithmetic
// of what it asked for. Compiled by the tests that need it; it never gives anything back.
#define _GNU_SOURCE
#include <fcntl.h>
#include <malloc.h>
#include <node_api.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define FUNCTION(name) static napi_value name(napi_env env, napi_callback_info info)
#define TAKE   \
  double v[8]; \
  arguments(env, info, v)

static void arguments(napi_env env, napi_callback_info info, double out[8]) {
  napi_value values[8];
  size_t count = 8;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  for (size_t i = 0; i < 8; i++) {
    out[i] = 0;
    if (i < count) napi_get_value_double(env, values[i], &out[i]);
  }
}

static napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

static napi_value undefined(napi_env env) {
  napi_value result;
  napi_get_undefined(env, &result);
  return result;
}

// What a block takes: its usable bytes and the word before them.
static size_t chunkBytes(void* block) { return malloc_usable_size(block) + sizeof(size_t); }

struct Order {
  size_t count;
  size_t bytes;      // of each block
  size_t pin_every;  // this one of so many is kept; 0: none
  size_t pin_bytes;  // 0: as large as the others
  size_t held, freed;
};

// All are taken one after another, so that they are neighbours, before any is freed.
static void __attribute__((noinline)) fill(struct Order* order) {
  char** blocks = mmap(NULL, order->count * sizeof *blocks, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (blocks == MAP_FAILED) abort();
  for (size_t i = 0; i < order->count; i++) {
    const int is_pin = order->pin_every != 0 && i % order->pin_every == 0;
    const size_t bytes = is_pin && order->pin_bytes != 0 ? order->pin_bytes : order->bytes;
    blocks[i] = malloc(bytes);
    if (blocks[i] == NULL) abort();
    memset(blocks[i], 1, bytes);
  }
  for (size_t i = 0; i < order->count; i++) {
    const int is_pin = order->pin_every != 0 && i % order->pin_every == 0;
    *(is_pin ? &order->held : &order->freed) += chunkBytes(blocks[i]);
    if (!is_pin) free(blocks[i]);
  }
  munmap(blocks, order->count * sizeof *blocks);
}

static napi_value answer(napi_env env, size_t held, size_t freed) {
  napi_value result;
  napi_create_object(env, &result);
  napi_set_named_property(env, result, "heldBytes", number(env, (double)held));
  napi_set_named_property(env, result, "freedBytes", number(env, (double)freed));
  return result;
}

static struct Order orderOf(const double v[4]) {
  return (struct Order){(size_t)v[0], (size_t)v[1], (size_t)v[2], (size_t)v[3], 0, 0};
}

// blocks(count, bytes, pinEvery, pinBytes): on the calling thread.
FUNCTION(blocks) {
  TAKE;
  struct Order order = orderOf(v);
  fill(&order);
  return answer(env, order.held, order.freed);
}

struct Thread {
  struct Order order;
  size_t stack_bytes;  // to touch
  pthread_t id;
  pthread_barrier_t* is_done;
};

static void __attribute__((noinline)) touchStack(size_t bytes) {
  volatile char* stack = __builtin_alloca(bytes);
  for (size_t i = 0; i < bytes; i += 1024) stack[i] = 1;
}

static void* stayingThread(void* data) {
  struct Thread* thread = data;
  if (thread->order.count > 0) fill(&thread->order);
  if (thread->stack_bytes > 0) touchStack(thread->stack_bytes);
  pthread_barrier_wait(thread->is_done);
  for (;;) pause();
  return NULL;
}

static napi_value startThreads(napi_env env, struct Thread pattern, size_t count) {
  struct Thread* threads = calloc(count, sizeof *threads);
  pthread_barrier_t* is_done = calloc(1, sizeof *is_done);
  pthread_barrier_init(is_done, NULL, (unsigned)count + 1);
  for (size_t i = 0; i < count; i++) {
    threads[i] = pattern;
    threads[i].is_done = is_done;
    if (pthread_create(&threads[i].id, NULL, stayingThread, &threads[i]) != 0) abort();
  }
  pthread_barrier_wait(is_done);
  size_t held = 0;
  size_t freed = 0;
  for (size_t i = 0; i < count; i++) {
    held += threads[i].order.held;
    freed += threads[i].order.freed;
  }
  return answer(env, held, freed);
}

// threads(threads, count, bytes, pinEvery, pinBytes): the same in each of so many, which stay.
FUNCTION(threads) {
  TAKE;
  return startThreads(env, (struct Thread){orderOf(v + 1), 0, 0, NULL}, (size_t)v[0]);
}

// threadStacks(threads, bytes): threads that touch so much of their stacks, and stay.
FUNCTION(threadStacks) {
  TAKE;
  return startThreads(env, (struct Thread){{0}, (size_t)v[1], 0, NULL}, (size_t)v[0]);
}

// ownStack(bytes): of the thread that calls, a worker's.
FUNCTION(ownStack) {
  TAKE;
  touchStack((size_t)v[0]);
  return undefined(env);
}

// mapFile(path, bytes, isWritten): a shared mapping of a file, every page read or written once.
FUNCTION(mapFile) {
  napi_value values[3];
  size_t count = 3;
  char path[4096];
  double bytes = 0;
  bool is_written = false;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_string_utf8(env, values[0], path, sizeof path, &count);
  napi_get_value_double(env, values[1], &bytes);
  napi_get_value_bool(env, values[2], &is_written);
  const int file = open(path, O_RDWR);
  const int rights = PROT_READ | (is_written ? PROT_WRITE : 0);
  volatile char* start = mmap(NULL, (size_t)bytes, rights, MAP_SHARED, file, 0);
  close(file);
  if (start == MAP_FAILED) abort();
  char sum = 0;
  for (size_t i = 0; i < (size_t)bytes; i += 4096) {
    if (is_written) start[i] = 1;
    sum += start[i];
  }
  return number(env, sum);
}

static size_t finalized;

static void finalize(napi_env env, void* data, void* hint) {
  (void)env;
  (void)hint;
  free(data);
  finalized++;
}

// external(bytes): an ArrayBuffer of malloc's memory, which a finalizer frees.
FUNCTION(external) {
  TAKE;
  void* data = malloc((size_t)v[0]);
  if (data == NULL) abort();
  memset(data, 1, (size_t)v[0]);
  napi_value buffer;
  napi_create_external_arraybuffer(env, data, (size_t)v[0], finalize, NULL, &buffer);
  return buffer;
}

// wrapper(bytes): a small object that keeps as much of malloc's memory, of which V8 is not told.
FUNCTION(wrapper) {
  TAKE;
  void* data = malloc((size_t)v[0]);
  if (data == NULL) abort();
  memset(data, 1, (size_t)v[0]);
  napi_value object;
  napi_create_object(env, &object);
  napi_wrap(env, object, data, finalize, NULL, NULL);
  return object;
}

// finalizations(): how many there were.
FUNCTION(finalizations) {
  (void)info;
  return number(env, (double)finalized);
}

FUNCTION(trim) {
  (void)info;
  malloc_trim(0);
  return undefined(env);
}

NAPI_MODULE_INIT() {
  static const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      {"blocks", blocks},
      {"threads", threads},
      {"threadStacks", threadStacks},
      {"ownStack", ownStack},
      {"mapFile", mapFile},
      {"external", external},
      {"wrapper", wrapper},
      {"finalizations", finalizations},
      {"trim", trim},
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
