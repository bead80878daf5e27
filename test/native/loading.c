// SPDX-License-Identifier: MIT
// An addon that loads and unloads objects as addons do: by name, from its own folder, in threads,
// in a namespace of its own, and through glibc's converters.
#include <dlfcn.h>
#include <iconv.h>
#include <node_api.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define FUNCTION(name) static napi_value name(napi_env env, napi_callback_info info)

typedef struct {
  char path[4096];
  double number;
} Arguments;

static Arguments argumentsOf(napi_env env, napi_callback_info info) {
  Arguments all = {0};
  napi_value values[2];
  size_t count = 2, length;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  if (count > 0) napi_get_value_string_utf8(env, values[0], all.path, sizeof all.path, &length);
  if (count > 1) napi_get_value_double(env, values[1], &all.number);
  return all;
}

static napi_value numberOf(napi_env env, double number) {
  napi_value value;
  napi_create_double(env, number, &value);
  return value;
}

static napi_value textOf(napi_env env, const char* text) {
  napi_value value;
  napi_create_string_utf8(env, text, NAPI_AUTO_LENGTH, &value);
  return value;
}

// open(name, flags): calls dlopen from this addon; returns "" or its error.
FUNCTION(openObject) {
  const Arguments all = argumentsOf(env, info);
  void* object = dlopen(all.path, RTLD_NOW | (int)all.number);
  return textOf(env, object ? "" : dlerror());
}

// allocate(path, count): calls allocate_many(count) of an object that is open already.
FUNCTION(allocate) {
  const Arguments all = argumentsOf(env, info);
  void* object = dlopen(all.path, RTLD_NOW | RTLD_NOLOAD);
  long (*many)(long) = object ? (long (*)(long))dlsym(object, "allocate_many") : NULL;
  return numberOf(env, many ? (double)many((long)all.number) : -1);
}

static atomic_bool g_is_over;
static atomic_long g_loads;
static pthread_t g_threads[8];
static int g_thread_count;

static void* loadAndUnload(void* path) {
  while (!atomic_load(&g_is_over)) {
    void* object = dlopen(path, RTLD_NOW);
    if (!object) continue;
    void* (*first)(size_t) = (void* (*)(size_t))dlsym(object, "allocate");
    if (first) free(first(3));
    dlclose(object);
    atomic_fetch_add(&g_loads, 1);
  }
  free(path);
  return NULL;
}

// startLoading(path, threads); stopLoading() returns the number of loads.
FUNCTION(startLoading) {
  const Arguments all = argumentsOf(env, info);
  atomic_store(&g_is_over, false);
  for (int i = 0; i < (int)all.number; i++)
    pthread_create(&g_threads[g_thread_count++], NULL, loadAndUnload, strdup(all.path));
  return NULL;
}

FUNCTION(stopLoading) {
  (void)info;
  atomic_store(&g_is_over, true);
  while (g_thread_count > 0) pthread_join(g_threads[--g_thread_count], NULL);
  return numberOf(env, (double)atomic_exchange(&g_loads, 0));
}

// convert(name, times): opens and closes one of glibc's converters, which it loads and unloads.
FUNCTION(convert) {
  const Arguments all = argumentsOf(env, info);
  long good = 0;
  for (long i = 0; i < (long)all.number; i++) {
    const iconv_t converter = iconv_open("UTF-8", all.path);
    if (converter == (iconv_t)-1) continue;
    char from[] = "abc", to[64];
    char *in = from, *out = to;
    size_t in_left = 3, out_left = sizeof to;
    if (iconv(converter, &in, &in_left, &out, &out_left) != (size_t)-1) good++;
    iconv_close(converter);
  }
  return numberOf(env, (double)good);
}

// inNamespace(path, bytes): allocates in an object that has a libc of its own; "" or the error.
FUNCTION(inNamespace) {
  const Arguments all = argumentsOf(env, info);
  void* object = dlmopen(LM_ID_NEWLM, all.path, RTLD_NOW);
  if (!object) return textOf(env, dlerror());
  void* (*other)(size_t) = (void* (*)(size_t))dlsym(object, "allocate");
  return textOf(env, other && other((size_t)all.number) ? "" : "no block");
}

// next(name, bytes): a block of the malloc that dlsym finds behind this addon.
FUNCTION(next) {
  const Arguments all = argumentsOf(env, info);
  void* (*found)(size_t) = (void* (*)(size_t))dlsym(RTLD_NEXT, all.path);
  void* block = found ? found((size_t)all.number) : NULL;
  if (block) memset(block, 1, (size_t)all.number);
  return numberOf(env, block ? 1 : 0);
}

NAPI_MODULE_INIT() {
  const struct {
    const char* name;
    napi_callback call;
  } all[] = {{"open", openObject},     {"allocate", allocate}, {"startLoading", startLoading},
             {"stopLoading", stopLoading}, {"convert", convert},   {"inNamespace", inNamespace},
             {"next", next}};
  for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
    napi_value function;
    napi_create_function(env, all[i].name, NAPI_AUTO_LENGTH, all[i].call, NULL, &function);
    napi_set_named_property(env, exports, all[i].name, function);
  }
  return exports;
}
