// SPDX-License-Identifier: MIT
#include "shm/checked_copy.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

namespace memdrift {
namespace {

constexpr size_t kBytes = 16 * 4096;

class CopyChecked : public testing::Test {
 protected:
  ~CopyChecked() override { munmap(source_, kBytes); }

  void* source_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  std::vector<unsigned char> target_ = std::vector<unsigned char>(kBytes);
};

TEST_F(CopyChecked, CopiesAllBytes) {
  memset(source_, 5, kBytes);
  EXPECT_TRUE(canCopyChecked());
  EXPECT_TRUE(copyChecked(target_.data(), source_, kBytes));
  EXPECT_EQ(target_, std::vector<unsigned char>(kBytes, 5));
  EXPECT_TRUE(copyChecked(target_.data(), nullptr, 0));
}

TEST_F(CopyChecked, ReturnsFalseWhenTheLastPageIsProtected) {
  ASSERT_EQ(mprotect(static_cast<char*>(source_) + kBytes - 4096, 4096, PROT_NONE), 0);
  EXPECT_FALSE(copyChecked(target_.data(), source_, kBytes));
}

TEST_F(CopyChecked, ReturnsFalseWhenTheSourceIsUnmapped) {
  ASSERT_EQ(munmap(source_, kBytes), 0);
  EXPECT_FALSE(copyChecked(target_.data(), source_, kBytes));
}

}  // namespace
}  // namespace memdrift
