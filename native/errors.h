// SPDX-License-Identifier: MIT
// The one error type of the native core. The door turns it into MemdriftError of src/errors.ts.
#pragma once

#include <cerrno>
#include <exception>
#include <string>

namespace memdrift {

// One list: src/errors.ts has the same codes with what each means, and a test compares the two.
#define MEMDRIFT_ERROR_CODES(X) \
  X(ERR_BUSY)                   \
  X(ERR_CLOSED)                 \
  X(ERR_CORRUPT)                \
  X(ERR_DENIED)                 \
  X(ERR_EXISTS)                 \
  X(ERR_FULL)                   \
  X(ERR_GONE)                   \
  X(ERR_INVALID)                \
  X(ERR_MALFORMED)              \
  X(ERR_NO_MEMORY)              \
  X(ERR_STATE)                  \
  X(ERR_SYSTEM)                 \
  X(ERR_TIMEOUT)                \
  X(ERR_TOO_LARGE)              \
  X(ERR_UNSUPPORTED)

enum class ErrorCode {
#define MEMDRIFT_DECLARE(name) name,
  MEMDRIFT_ERROR_CODES(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};

const char* errorCodeName(ErrorCode code) noexcept;

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message, int error_number = 0)
      : code_(code), message_(std::move(message)), error_number_(error_number) {}

  // An operation of the system failed: `operation` is what was tried ("open", "mmap"), `target` on
  // what. errno decides the code, so that callers can tell gone from denied from full.
  static Error fromErrno(const char* operation, const std::string& target,
                         int error_number = errno);

  ErrorCode code() const noexcept { return code_; }
  int errorNumber() const noexcept { return error_number_; }
  const char* what() const noexcept override { return message_.c_str(); }

 private:
  ErrorCode code_;
  std::string message_;
  int error_number_;
};

}  // namespace memdrift
