// SPDX-License-Identifier: MIT
// Finds functions of V8 by name. No header of V8 is included: one binary serves several of them.
#pragma once

#include <dlfcn.h>

namespace memdrift::door {

// Sets `function` to the function of this mangled name; null when this Node does not export it.
template <typename Function>
void resolve(Function& function, const char* name) {
  function = reinterpret_cast<Function>(dlsym(RTLD_DEFAULT, name));
}

}  // namespace memdrift::door
