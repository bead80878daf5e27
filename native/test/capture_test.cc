// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <fstream>
#include <latch>
#include <random>
#include <thread>
#include <vector>

#include "capture/capture_reader.h"
#include "capture/capture_writer.h"
#include "errors.h"
#include "test/temporary_folder.h"

namespace memdrift {

namespace {

struct Seen final : CaptureVisitor {
  void onInfo(std::string_view text) override { info = text; }
  void onEvent(const Event& event) override { events.push_back(event); }
  void onMarker(uint64_t, std::string_view label) override { markers.emplace_back(label); }
  void onCode(const CodeEvent& event) override { code.emplace_back(event.name); }
  void onThread(const ThreadRecord& thread) override {
    threads += thread.state == ThreadState::started;
  }
  void onEnd(const EndPayload& payload) override { end = payload; }

  std::string info;
  std::vector<Event> events;
  std::vector<std::string> markers;
  std::vector<std::string> code;
  int threads = 0;
  std::optional<EndPayload> end;
};

PlaceLines takeBack(const std::string& record) {
  PlaceLines place;
  const auto* at = reinterpret_cast<const uint8_t*>(record.data());
  const uint8_t* end = at + record.size();
  EXPECT_EQ(takePlaceLines(at, end, place), nullptr);
  EXPECT_EQ(at, end);
  return place;
}

// The reader's damage, or empty.
std::string read(const std::string& path, Seen& seen) {
  CaptureReader reader(path);
  reader.readAll(seen);
  return reader.damage();
}

std::string contentOf(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void writeFile(const std::string& path, std::string_view content) {
  std::ofstream(path, std::ios::binary).write(content.data(), static_cast<long>(content.size()));
}

std::optional<ErrorCode> codeOfReading(const std::string& path) {
  try {
    CaptureReader reader(path);
    return std::nullopt;
  } catch (const Error& error) {
    return error.code();
  }
}

class CaptureTest : public testing::Test {
 protected:
  CaptureOptions options(uint32_t interval_ms = 5) {
    CaptureOptions one;
    one.path = path_;
    one.info = "{\"role\":\"test\"}";
    one.interval_ms = interval_ms;
    return one;
  }
  // A whole capture with a few thousand events, a marker and a name.
  void make() {
    CaptureOptions with_code = options();
    bool is_told = false;
    with_code.take_code = [&] {
      std::string text;
      if (!is_told) putCode({1, CodeKind::bytecode, 1, "JS:~f /a.js:1:2"}, text);
      is_told = true;
      return text;
    };
    CaptureWriter writer(with_code);
    writer.start();
    ThreadStream* stream = writer.streams().open(7);
    const uint32_t outer = stream->node({0, 0, 0x1000});
    const uint32_t inner = stream->node({outer, 1, 12});
    for (uint64_t i = 0; i < 2000; i++) {
      stream->alloc({HookId::k_malloc, i % 2 ? inner : outer, 0x10000 + i * 48, i});
      if (i % 3 == 0) stream->free({HookId::k_free, 0x10000 + i * 48});
    }
    writer.add(FrameType::marker, payloadOf(MarkerPayload{1}, "here"));
    writer.stop();
  }

  TemporaryFolder folder_;
  std::string path_ = folder_.file("a.mdc");
};

}  // namespace

TEST_F(CaptureTest, NoCallbackComesBeforeStart) {
  std::atomic<int> calls{0};
  CaptureOptions counting = options();
  counting.on_tick = [&] { calls++; };
  CaptureWriter writer(counting);
  usleep(30'000);
  EXPECT_EQ(calls.load(), 0);
  writer.start();
  writer.stop();
  EXPECT_GT(calls.load(), 0);
}

TEST_F(CaptureTest, AWriterThatWasNeverStartedLeavesNoFile) {
  {
    const CaptureWriter writer(options());
  }
  EXPECT_NE(access(options().path.c_str(), F_OK), 0);
}

// Of each mark, how many allocations there were before it.
struct MarkOrder final : CaptureVisitor {
  void onEvent(const Event& event) override { allocations += event.type == EventType::alloc; }
  void onMarker(uint64_t, std::string_view) override { before.push_back(allocations); }

  uint64_t allocations = 0;
  std::vector<uint64_t> before;
};

TEST_F(CaptureTest, AMarkIsBetweenWhatItsThreadDidBeforeAndAfter) {
  CaptureWriter writer(options(1));
  writer.start();
  ThreadStream* stream = writer.streams().open(7);
  std::vector<uint64_t> expected;
  for (uint64_t i = 0; i < 20'000; i++) {
    if (i % 7 == 0) {
      writer.mark("a mark");
      stream->endTurn();
      expected.push_back(i);
    }
    stream->alloc({HookId::k_malloc, 0, 0x10000 + i * 48, 16});
    // So that some marks meet a round of the writer.
    if (i % 400 == 0) usleep(1000);
  }
  writer.stop();
  MarkOrder order;
  CaptureReader reader(path_);
  reader.readAll(order);
  EXPECT_EQ(reader.damage(), "");
  EXPECT_EQ(order.before, expected);
}

TEST_F(CaptureTest, GivesBackWhatWasWritten) {
  make();
  Seen seen;
  EXPECT_EQ(read(path_, seen), "");
  EXPECT_EQ(seen.info, "{\"role\":\"test\"}");
  EXPECT_EQ(seen.markers, std::vector<std::string>{"here"});
  EXPECT_EQ(seen.code, std::vector<std::string>{"JS:~f /a.js:1:2"});
  ASSERT_EQ(seen.events.size(), 2U + 2000 + 667);
  EXPECT_EQ(seen.events[0].place, 0x1000U);
  EXPECT_EQ(seen.events[1].code, 1U);
  EXPECT_EQ(seen.events[1].parent, seen.events[0].node);
  const Event& last = seen.events.back();
  EXPECT_EQ(last.type, EventType::alloc);
  EXPECT_EQ(last.address, 0x10000U + 1999 * 48);
  EXPECT_EQ(last.bytes, 1999U);
  EXPECT_EQ(last.node, seen.events[1].node);
  ASSERT_TRUE(seen.end);
  EXPECT_EQ(seen.end->dropped_records, 0U);
  EXPECT_EQ(seen.end->reason, static_cast<uint32_t>(EndReason::closed));
}

TEST_F(CaptureTest, IsMadeForItsUserAloneAndReplacesNoFile) {
  make();
  struct stat status;
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600U);
  try {
    CaptureWriter again(options());
    FAIL() << "it replaced a file";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ERR_EXISTS);
  }
}

// Everything before the damage comes out; nothing that was not written does.
TEST_F(CaptureTest, CutAnywhereGivesWhatIsBeforeTheCut) {
  make();
  const std::string whole = contentOf(path_);
  Seen all;
  read(path_, all);
  const std::string cut_path = folder_.file("cut.mdc");
  for (size_t size = sizeof(CaptureHeader); size < whole.size(); size += size < 400 ? 1 : 97) {
    writeFile(cut_path, std::string_view(whole).substr(0, size));
    Seen seen;
    const std::string damage = read(cut_path, seen);
    ASSERT_NE(damage, "") << size;
    ASSERT_LE(seen.events.size(), all.events.size());
    for (size_t i = 0; i < seen.events.size(); i++) ASSERT_EQ(seen.events[i], all.events[i]);
  }
}

TEST_F(CaptureTest, AFlippedByteIsFound) {
  make();
  const std::string whole = contentOf(path_);
  std::mt19937 random(1);
  const std::string bad_path = folder_.file("bad.mdc");
  for (int i = 0; i < 200; i++) {
    std::string bad = whole;
    bad[sizeof(CaptureHeader) + random() % (bad.size() - sizeof(CaptureHeader))] ^=
        static_cast<char>(1 << random() % 8);
    writeFile(bad_path, bad);
    Seen seen;
    EXPECT_NE(read(bad_path, seen), "");
  }
}

TEST_F(CaptureTest, WhatIsNoCaptureIsRefusedByName) {
  writeFile(path_, "hello");
  EXPECT_EQ(codeOfReading(path_), ErrorCode::ERR_MALFORMED);
  writeFile(path_, std::string(1000, 'x'));
  EXPECT_EQ(codeOfReading(path_), ErrorCode::ERR_MALFORMED);
  EXPECT_EQ(codeOfReading(folder_.file("nothing")), ErrorCode::ERR_GONE);
  EXPECT_EQ(codeOfReading(folder_.file("")), ErrorCode::ERR_MALFORMED);
  CaptureHeader header = {};
  header.magic = kCaptureMagic;
  header.version = kCaptureVersion + 1;
  header.header_bytes = sizeof header;
  writeFile(path_, {reinterpret_cast<const char*>(&header), sizeof header});
  EXPECT_EQ(codeOfReading(path_), ErrorCode::ERR_UNSUPPORTED);
}

TEST_F(CaptureTest, EndsWholeAtItsLargestSize) {
  CaptureOptions limited = options(1);
  limited.max_bytes = 64 << 10;
  std::atomic<bool> has_ended{false};
  limited.on_end = [&](EndReason) { has_ended = true; };
  CaptureWriter writer(limited);
  writer.start();
  ThreadStream* stream = writer.streams().open(7);
  std::mt19937_64 random(2);
  while (!has_ended) stream->alloc({HookId::k_malloc, 0, random(), random()});
  EXPECT_EQ(writer.ended(), EndReason::max_bytes);
  writer.stop();
  Seen seen;
  EXPECT_EQ(read(path_, seen), "");
  ASSERT_TRUE(seen.end);
  EXPECT_EQ(seen.end->reason, static_cast<uint32_t>(EndReason::max_bytes));
  struct stat status;
  ASSERT_EQ(stat(path_.c_str(), &status), 0);
  EXPECT_LE(static_cast<uint64_t>(status.st_size), limited.max_bytes);
}

// A limit of the process stands for a full disk: both make write(2) fail in the middle.
TEST_F(CaptureTest, IsReadableWhenTheFileCouldNotGrow) {
  rlimit before;
  getrlimit(RLIMIT_FSIZE, &before);
  rlimit limit = before;
  limit.rlim_cur = 100'000;
  std::atomic<bool> has_ended{false};
  CaptureOptions options_now = options(1);
  options_now.on_end = [&](EndReason) { has_ended = true; };
  CaptureWriter writer(options_now);
  writer.start();
  setrlimit(RLIMIT_FSIZE, &limit);
  ThreadStream* stream = writer.streams().open(7);
  std::mt19937_64 random(3);
  while (!has_ended) stream->alloc({HookId::k_malloc, 0, random(), random()});
  setrlimit(RLIMIT_FSIZE, &before);
  EXPECT_EQ(writer.ended(), EndReason::write_failed);
  EXPECT_EQ(writer.errorNumber(), EFBIG);
  writer.stop();
  Seen seen;
  EXPECT_EQ(read(path_, seen), "");
  CaptureReader reader(path_);
  CaptureVisitor nobody;
  reader.readAll(nobody);
  EXPECT_EQ(reader.endReason(), static_cast<uint32_t>(EndReason::write_failed));
}

// Two threads that hand a token back and forth: their events come out in the order of the token.
TEST_F(CaptureTest, ThreadsThatTakeTurnsAreInOrder) {
  constexpr int kRounds = 300;
  CaptureWriter writer(options());
  writer.start();
  std::atomic<int> turn{0};
  const auto run = [&](int own) {
    ThreadStream* stream = writer.streams().open(static_cast<uint32_t>(100 + own));
    for (int i = 0; i < kRounds; i++) {
      while (turn.load() != i * 2 + own) std::this_thread::sleep_for(std::chrono::microseconds(20));
      stream->alloc({HookId::k_malloc, 0, 0x1000, static_cast<uint64_t>(i * 2 + own)});
      stream->free({HookId::k_free, 0x1000});
      turn.store(i * 2 + own + 1);
    }
    writer.streams().close(stream);
  };
  std::thread first(run, 0), second(run, 1);
  first.join();
  second.join();
  writer.stop();
  Seen seen;
  EXPECT_EQ(read(path_, seen), "");
  EXPECT_EQ(seen.threads, 2);
  ASSERT_EQ(seen.events.size(), kRounds * 4U);
  for (size_t i = 0; i < seen.events.size(); i += 2) {
    ASSERT_EQ(seen.events[i].type, EventType::alloc) << i;
    ASSERT_EQ(seen.events[i].bytes, i / 2);
    ASSERT_EQ(seen.events[i + 1].type, EventType::free) << i;
  }
}

TEST_F(CaptureTest, CountsWhatItHadNoRoomFor) {
  CaptureOptions small = options();
  small.limits.max_bytes = 2 * kBlockBytes;
  // A writer that is held up: on a busy machine it may be.
  std::atomic<bool> is_held{false};
  small.on_tick = [&] {
    while (is_held) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  uint64_t made = 0;
  {
    CaptureWriter writer(small);
    writer.start();
    is_held = true;
    ThreadStream* stream = writer.streams().open(7);
    const auto add = [&] { stream->alloc({HookId::k_malloc, 0, made * 4096, made}), made++; };
    while (stream->dropped() < 1000) add();
    is_held = false;
    // Until there is room again, and then one more: it is told how many are missing before it.
    for (uint64_t before = 0; before != stream->dropped();) {
      before = stream->dropped();
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
      add();
    }
    writer.stop();
  }
  Seen seen;
  EXPECT_EQ(read(path_, seen), "");
  uint64_t told = 0, kept = 0;
  for (const Event& event : seen.events) {
    if (event.type == EventType::lost) told += event.count;
    if (event.type == EventType::alloc) kept++;
  }
  ASSERT_TRUE(seen.end);
  EXPECT_GE(seen.end->dropped_records, 1000U);
  EXPECT_EQ(kept + seen.end->dropped_records, made);
  EXPECT_EQ(told, seen.end->dropped_records);
}

TEST(PlaceLines, AreReadAsTheyWereWritten) {
  std::string record;
  putPlaceLines({7, 0x1234, {{12, {}, {}}, {3, "inner", "/a folder/x.js"}, {0, "", ""}}}, record);
  const PlaceLines place = takeBack(record);
  EXPECT_EQ(place.code, 7U);
  EXPECT_EQ(place.offset, 0x1234U);
  ASSERT_EQ(place.lines.size(), 3U);
  EXPECT_EQ(place.lines[0].line, 12U);
  EXPECT_EQ(place.lines[1].function, "inner");
  EXPECT_EQ(place.lines[1].file, "/a folder/x.js");
  EXPECT_EQ(place.lines[2].line, 0U);
}

TEST(PlaceLines, AreRefusedWhereverTheyAreCutOff) {
  std::string record;
  putPlaceLines({7, 300, {{12, {}, {}}, {3, "inner", "/x.js"}}}, record);
  for (size_t bytes = 0; bytes < record.size(); bytes++) {
    PlaceLines place;
    const auto* at = reinterpret_cast<const uint8_t*>(record.data());
    EXPECT_NE(takePlaceLines(at, at + bytes, place), nullptr) << bytes;
  }
}

}  // namespace memdrift
