// SPDX-License-Identifier: MIT
#include "capture/frame_file.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <optional>
#include <string>

#include "capture/capture_reader.h"
#include "test/temporary_folder.h"

namespace memdrift {

namespace {

struct Seen final : CaptureVisitor {
  void onInfo(std::string_view text) override { info = text; }
  std::string info;
};

std::string damageOf(const std::string& path, Seen& seen) {
  CaptureReader reader(path);
  reader.readAll(seen);
  return reader.damage();
}

class GuardedFileTest : public testing::Test {
 protected:
  // Makes a capture file, closes its descriptor and reuses the number, as a program may.
  void SetUp() override {
    fd_ = createCaptureFile(path_);
    file_.emplace(fd_, 0);
    struct stat own;
    fstat(fd_, &own);
    file_->guard(path_);
    // The writer moved it to another number, so it is found by the file behind it.
    for (fd_ = 0; fd_ < 65536; fd_++) {
      struct stat other;
      if (fstat(fd_, &other) == 0 && other.st_ino == own.st_ino && other.st_dev == own.st_dev)
        break;
    }
    file_->begin(sealHeader({}));
    theirs_ = open((path_ + ".theirs").c_str(), O_CREAT | O_RDWR, 0600);
    ASSERT_EQ(dup2(theirs_, fd_), fd_);
  }
  void TearDown() override {
    struct stat theirs;
    fstat(theirs_, &theirs);
    EXPECT_EQ(theirs.st_size, 0);
    file_.reset();
    // Not closed with the file: it is the program's.
    EXPECT_GE(fcntl(fd_, F_GETFD), 0);
    close(theirs_);
    close(fd_);
  }

  TemporaryFolder folder_;
  const std::string path_ = folder_.file("capture.mdc");
  int fd_ = -1;
  int theirs_ = -1;
  std::optional<FrameFile> file_;
};

TEST_F(GuardedFileTest, ContinuesInItsFileWhenTheDescriptorWasReused) {
  EXPECT_GE(fd_, 256);
  file_->add({FrameType::info}, {{}, "after"});
  EXPECT_TRUE(file_->flush());
  EXPECT_TRUE(file_->addEnd({}));
  Seen seen;
  EXPECT_EQ(damageOf(path_, seen), "");
  EXPECT_EQ(seen.info, "after");
}

TEST_F(GuardedFileTest, StopsWhenThePathNamesAnotherFile) {
  unlink(path_.c_str());
  std::ofstream(path_) << "another program's";
  file_->add({FrameType::info}, {{}, "after"});
  EXPECT_FALSE(file_->flush());
  EXPECT_EQ(file_->errorNumber(), EBADF);
  std::string content;
  std::getline(std::ifstream(path_), content);
  EXPECT_EQ(content, "another program's");
}

}  // namespace

}  // namespace memdrift
