// SPDX-License-Identifier: MIT
// A malloc that is not the C library's, as far as anybody can see: preloaded by a test.
#include <stddef.h>

extern void* __libc_malloc(size_t bytes);

void* malloc(size_t bytes) { return __libc_malloc(bytes); }
