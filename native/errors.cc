// SPDX-License-Identifier: MIT
#include "errors.h"

#include <cstring>

namespace memdrift {

const char* errorCodeName(ErrorCode code) noexcept {
  switch (code) {
#define MEMDRIFT_NAME(name) \
  case ErrorCode::name:     \
    return #name;
    MEMDRIFT_ERROR_CODES(MEMDRIFT_NAME)
#undef MEMDRIFT_NAME
  }
  return "ERR_SYSTEM";
}

static ErrorCode codeOfErrno(int error_number) noexcept {
  switch (error_number) {
    case ENOENT:
    case ESRCH:
      return ErrorCode::ERR_GONE;
    case EACCES:
    case EPERM:
      return ErrorCode::ERR_DENIED;
    case EEXIST:
      return ErrorCode::ERR_EXISTS;
    case ENOSPC:
    case EDQUOT:
      return ErrorCode::ERR_FULL;
    case ENOMEM:
      return ErrorCode::ERR_NO_MEMORY;
    case ENOSYS:
    case EOPNOTSUPP:
      return ErrorCode::ERR_UNSUPPORTED;
    default:
      return ErrorCode::ERR_SYSTEM;
  }
}

Error Error::fromErrno(const char* operation, const std::string& target, int error_number) {
  std::string message =
      std::string(operation) + " of " + target + " failed: " + strerror(error_number);
  return Error(codeOfErrno(error_number), std::move(message), error_number);
}

}  // namespace memdrift
