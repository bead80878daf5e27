// SPDX-License-Identifier: MIT
#include "errors.h"

#include <gtest/gtest.h>

namespace memdrift {

TEST(Error, TellsGoneFromDeniedFromFull) {
  EXPECT_EQ(Error::fromErrno("open", "/proc/1/smaps", ESRCH).code(), ErrorCode::ERR_GONE);
  EXPECT_EQ(Error::fromErrno("open", "/proc/1/smaps", EACCES).code(), ErrorCode::ERR_DENIED);
  EXPECT_EQ(Error::fromErrno("fallocate", "segment x", ENOSPC).code(), ErrorCode::ERR_FULL);
}

TEST(Error, NamesWhatWasTriedOnWhatAndWhy) {
  const Error error = Error::fromErrno("open", "/proc/7/smaps", EACCES);
  EXPECT_STREQ(error.what(), "open of /proc/7/smaps failed: Permission denied");
  EXPECT_STREQ(errorCodeName(error.code()), "ERR_DENIED");
}

}  // namespace memdrift
