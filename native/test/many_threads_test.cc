// SPDX-License-Identifier: MIT
// Captures of programs with thousands of threads.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <ctime>
#include <set>
#include <string>
#include <vector>

#include "capture/capture_reader.h"
#include "capture/capture_writer.h"
#include "capture/frame_file.h"
#include "test/temporary_folder.h"

namespace memdrift {

namespace {

struct Count final : CaptureVisitor {
  void onEvent(const Event& event) override {
    events += event.type == EventType::alloc;
    late += ended.contains(event.stream);
  }
  void onStreamEnd(uint32_t stream) override { late += !ended.insert(stream).second; }
  void onEnd(const EndPayload& end) override { dropped = end.dropped_records; }
  uint64_t events = 0;
  uint64_t dropped = 0;
  std::set<uint32_t> ended;
  uint64_t late = 0;  // events and ends after a stream's end
};

Count countOf(const std::string& path) {
  CaptureReader reader(path);
  Count count;
  reader.readAll(count);
  EXPECT_EQ(reader.damage(), "");
  return count;
}

double processorSeconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

// Makes a capture of this many threads, which take turns in a hundred rounds of the writer.
void writeStreams(const std::string& path, uint32_t streams) {
  constexpr uint32_t kRounds = 100;
  FrameFile file(createCaptureFile(path), 0);
  file.begin(sealHeader({}));
  uint64_t epoch = 0;
  for (uint32_t stream = 1; stream <= streams; stream++) {
    StreamState state;
    uint8_t bytes[2 * (kMaxEventBytes + kMaxVarintBytes)];
    uint8_t* at = encode::epoch(state, bytes, ++epoch);
    at = encode::alloc(state, at, {HookId::k_malloc, 0, 0x10000 + stream * 64ULL, 32});
    const auto* text = reinterpret_cast<const char*>(bytes);
    file.add({FrameType::events, stream}, {{}, {text, static_cast<size_t>(at - bytes)}});
    if (stream % (streams / kRounds) == 0)
      file.add({FrameType::epoch}, payloadOf(EpochPayload{epoch - 1, epoch}));
  }
  EndPayload end = {};
  end.reason = static_cast<uint32_t>(EndReason::closed);
  file.addEnd(end);
}

double secondsToRead(const std::string& path, uint32_t streams) {
  writeStreams(path, streams);
  const double start = processorSeconds();
  EXPECT_EQ(countOf(path).events, streams);
  return processorSeconds() - start;
}

class ManyThreadsTest : public testing::Test {
 protected:
  CaptureOptions options() const {
    CaptureOptions one;
    one.path = folder_.file("a.mdc");
    return one;
  }
  TemporaryFolder folder_;
};

TEST_F(ManyThreadsTest, DropNothingWhenAllLiveAtOnce) {
  constexpr uint64_t kThreads = 5000, kEach = 2000;
  {
    CaptureWriter writer(options());
    writer.start();
    std::vector<ThreadStream*> streams;
    for (uint32_t i = 0; i < kThreads; i++) {
      streams.push_back(writer.streams().open(i + 1));
      ASSERT_TRUE(streams.back()) << i;
    }
    // In ten rounds, so that all threads hold chunks at any time. The writer may lag on a busy
    // machine.
    for (uint64_t go = 0; go < 10; go++) {
      for (ThreadStream* stream : streams) {
        while (writer.streams().pool().isLow()) usleep(1000);
        for (uint64_t i = 0; i < kEach / 10; i++)
          stream->alloc({HookId::k_malloc, 0, 0x10000 + i * 64, 32});
      }
    }
    writer.stop();
  }
  const Count count = countOf(options().path);
  EXPECT_EQ(count.dropped, 0U);
  EXPECT_EQ(count.events, kThreads * kEach);
}

TEST_F(ManyThreadsTest, DropNothingWhenEachIsShort) {
  constexpr uint32_t kThreads = 50'000;
  {
    CaptureWriter writer(options());
    writer.start();
    for (uint32_t i = 0; i < kThreads; i++) {
      ThreadStream* stream = writer.streams().open(i + 1);
      for (; !stream; stream = writer.streams().open(i + 1)) usleep(1000);
      stream->alloc({HookId::k_malloc, 0, 0x10000 + i * 64ULL, 32});
      writer.streams().close(stream);
    }
    writer.stop();
  }
  const Count count = countOf(options().path);
  EXPECT_EQ(count.dropped, 0U);
  EXPECT_EQ(count.events, kThreads);
  EXPECT_EQ(count.ended.size(), kThreads);
  EXPECT_EQ(count.late, 0U);
}

TEST_F(ManyThreadsTest, AreReadInTimeThatGrowsWithTheirNumber) {
  const double few = secondsToRead(folder_.file("few.mdc"), 6000);
  const double many = secondsToRead(folder_.file("many.mdc"), 60'000);
  // Quadratic time would be a hundred times as long.
  EXPECT_LT(many, 30 * few + 0.05);
}

}  // namespace

}  // namespace memdrift
