// SPDX-License-Identifier: MIT
// An addon that holds memory as native code does: by malloc, and by a mapping that it tells nobody
// of. Compiled by the tests that need it.
#include <node_api.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static size_t argument(napi_env env, napi_callback_info info) {
  size_t count = 1;
  napi_value values[1];
  double number = 0;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  napi_get_value_double(env, values[0], &number);
  return (size_t)number;
}

// In blocks that are too small to be mappings of their own.
static napi_value by_malloc(napi_env env, napi_callback_info info) {
  const size_t block = 50000;
  for (size_t left = argument(env, info); left >= block; left -= block)
    memset(malloc(block), 1, block);
  return NULL;
}

static napi_value by_mmap(napi_env env, napi_callback_info info) {
  const size_t bytes = argument(env, info);
  void* const memory =
      mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(memory, 1, bytes);
  return NULL;
}

// A mapping for each page: neighbours of other rights are not made one.
static napi_value many_mappings(napi_env env, napi_callback_info info) {
  for (size_t left = argument(env, info); left > 0; left--) {
    char* const pages =
        mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (pages == MAP_FAILED) break;
    pages[0] = 1;
    mprotect(pages + 4096, 4096, PROT_READ);
  }
  return NULL;
}

static void export_as(napi_env env, napi_value exports, const char* name, napi_callback callback) {
  napi_value function;
  napi_create_function(env, name, NAPI_AUTO_LENGTH, callback, NULL, &function);
  napi_set_named_property(env, exports, name, function);
}

NAPI_MODULE_INIT() {
  export_as(env, exports, "byMalloc", by_malloc);
  export_as(env, exports, "byMmap", by_mmap);
  export_as(env, exports, "manyMappings", many_mappings);
  return exports;
}
