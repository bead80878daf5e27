// SPDX-License-Identifier: MIT
// An addon that does what memdrift foretells: malloc_trim(0). Compiled by the test that needs it.
#include <malloc.h>
#include <node_api.h>
#include <stddef.h>

static napi_value trim(napi_env env, napi_callback_info info) {
  (void)info;
  malloc_trim(0);
  napi_value undefined;
  napi_get_undefined(env, &undefined);
  return undefined;
}

NAPI_MODULE_INIT() {
  napi_value function;
  napi_create_function(env, "trim", NAPI_AUTO_LENGTH, trim, NULL, &function);
  napi_set_named_property(env, exports, "trim", function);
  return exports;
}
