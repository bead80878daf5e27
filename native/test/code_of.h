// SPDX-License-Identifier: MIT
// Which error a call ends with, for tests.
#pragma once

#include <functional>

#include "errors.h"

namespace memdrift {

// ERR_SYSTEM for none: no test here expects that one.
inline ErrorCode codeOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::ERR_SYSTEM;
}

}  // namespace memdrift
