// SPDX-License-Identifier: MIT
// Captures whose process SIGKILL ended.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <string>

#include "capture/capture_reader.h"
#include "capture/capture_writer.h"
#include "test/temporary_folder.h"

namespace memdrift {

namespace {

constexpr uint64_t kEvents = 100;

struct Count final : CaptureVisitor {
  void onEvent(const Event&) override { events++; }
  uint64_t events = 0;
};

class KilledCaptureTest : public testing::Test {
 protected:
  void SetUp() override {
    const pid_t child = fork();
    if (child == 0) recordAndDie();
    waitpid(child, nullptr, 0);
    std::ifstream file(path_, std::ios::binary);
    killed_ = {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& content) { std::ofstream(path_, std::ios::binary) << content; }

  TemporaryFolder folder_;
  const std::string path_ = folder_.file("killed.mdc");
  std::string killed_;

 private:
  void recordAndDie() {
    CaptureOptions options;
    options.path = path_;
    CaptureWriter writer(options);
    writer.start();
    ThreadStream* stream = writer.streams().open(7);
    for (uint64_t i = 1; i <= kEvents; i++) stream->alloc({HookId::k_malloc, 0, i * 48, i});
    while (eventsIn(path_) < kEvents) usleep(10'000);
    raise(SIGKILL);
  }
  static uint64_t eventsIn(const std::string& path) {
    CaptureReader reader(path);
    Count count;
    reader.readAll(count);
    return count.events;
  }
};

TEST_F(KilledCaptureTest, IsNotDamagedByAnUnfinishedFrame) {
  const FrameHeader unfinished = {static_cast<uint32_t>(FrameType::events), 1000, 1, 0};
  const std::string head(reinterpret_cast<const char*>(&unfinished), sizeof unfinished);
  for (const size_t size : {size_t{0}, size_t{7}, head.size()}) {
    write(killed_ + head.substr(0, size));
    CaptureReader reader(path_);
    Count count;
    reader.readAll(count);
    EXPECT_EQ(reader.damage(), "");
    EXPECT_EQ(reader.endReason(), 0U);
    EXPECT_EQ(count.events, kEvents);
  }
}

TEST_F(KilledCaptureTest, IsDamagedWhenItIsShorterThanItWas) {
  write(killed_.substr(0, killed_.size() - 1));
  CaptureReader reader(path_);
  Count count;
  reader.readAll(count);
  EXPECT_NE(reader.damage().find("the file ends here"), std::string::npos);
}

}  // namespace

}  // namespace memdrift
