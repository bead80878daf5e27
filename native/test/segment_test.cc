// SPDX-License-Identifier: MIT
#include "shm/segment.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/time.h>

#include <atomic>
#include <fstream>
#include <iterator>
#include <optional>
#include <random>
#include <thread>

#include "shm/mapping.h"
#include "test/child.h"
#include "test/segment_fixture.h"

namespace memdrift {

TEST_F(SegmentTest, IsReadableByItsUserOnlyWhateverTheUmask) {
  const mode_t before = umask(0777);
  const auto segment = create();
  umask(before);
  struct stat status{};
  ASSERT_EQ(lstat(path().c_str(), &status), 0);
  EXPECT_EQ(status.st_mode, S_IFREG | 0600U);
  EXPECT_EQ(static_cast<uint64_t>(status.st_size), kSegmentHeaderBytes + kSize);
}

TEST_F(SegmentTest, AllocatesAllThatItLacksAndKnowsWhenItLacksNothing) {
  const auto segment = create();
  EXPECT_EQ(segment->residentBytes(), kSegmentHeaderBytes);
  segment->reserveAll();
  EXPECT_EQ(segment->residentBytes(), kSegmentHeaderBytes + 3 * 4096);
  ASSERT_EQ(fallocate(segment->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 8192, 4096), 0);
  segment->reserveAll();
  EXPECT_EQ(segment->residentBytes(), kSegmentHeaderBytes + 3 * 4096);
}

TEST_F(SegmentTest, SaysWhetherANameIsGoneTakenOrNotOne) {
  EXPECT_EQ(codeOf([&] { open(); }), ErrorCode::ERR_GONE);
  EXPECT_EQ(codeOf([&] { Segment::unlink(name()); }), ErrorCode::ERR_GONE);
  const auto segment = create();
  EXPECT_EQ(codeOf([&] { create(); }), ErrorCode::ERR_EXISTS);
  EXPECT_EQ(codeOf([&] { Segment::open(name(), SegmentKind::kFlag); }), ErrorCode::ERR_MALFORMED);
  for (const std::string bad : {"", ".", "..", "a/b", "a b", "\n", "ä"})
    EXPECT_EQ(codeOf([&] { checkSegmentName(bad); }), ErrorCode::ERR_INVALID) << bad;
  EXPECT_EQ(codeOf([] { checkSegmentName(std::string(201, 'a')); }), ErrorCode::ERR_INVALID);
  EXPECT_EQ(codeOf([] { checkSegmentName(std::string("a\0b", 3)); }), ErrorCode::ERR_INVALID);
  checkSegmentName(std::string(200, 'a'));
}

TEST_F(SegmentTest, NeitherFollowsNorReplacesNorSweepsWhatIsNoSegment) {
  const std::string target = "/tmp/" + name();
  const int file = ::open(target.c_str(), O_CREAT | O_RDWR, 0600);
  ASSERT_GE(file, 0);
  const std::function<int()> made[] = {
      [&] { return symlink(target.c_str(), path().c_str()); },
      [&] { return symlink("/nowhere", path().c_str()); },
      [&] { return mkfifo(path().c_str(), 0600); },
      [&] { return close(::open(path().c_str(), O_CREAT | O_RDWR, 0600)); },
  };
  for (const auto& make : made) {
    ASSERT_EQ(make(), 0);
    EXPECT_EQ(codeOf([&] { open(); }), ErrorCode::ERR_MALFORMED);
    EXPECT_EQ(codeOf([&] { create(); }), ErrorCode::ERR_EXISTS);
    Segment::sweep();
    Segment::list();
    struct stat status{};
    EXPECT_EQ(lstat(path().c_str(), &status), 0);
    Segment::unlink(name());
  }
  ASSERT_EQ(mkdir(path().c_str(), 0700), 0);
  EXPECT_EQ(codeOf([&] { open(); }), ErrorCode::ERR_MALFORMED);
  EXPECT_EQ(codeOf([&] { create(); }), ErrorCode::ERR_EXISTS);
  ASSERT_EQ(rmdir(path().c_str()), 0);
  struct stat status{};
  EXPECT_EQ(fstat(file, &status), 0);
  EXPECT_EQ(status.st_size, 0);
  close(file);
  ::unlink(target.c_str());
}

TEST_F(SegmentTest, OpensNoFileWhoseHeaderIsDamagedOrThatIsTooShort) {
  const auto segment = create();
  std::mt19937 random(7);
  for (int round = 0; round < 2000; round++) {
    SegmentHeader header{kSegmentMagic, kSegmentLayoutVersion,
                         static_cast<uint32_t>(SegmentKind::kPlain), kSize};
    auto* bytes = reinterpret_cast<unsigned char*>(&header);
    const unsigned at = random() % sizeof(header);
    bytes[at] ^= static_cast<unsigned char>(1U << (random() % 8));
    ASSERT_EQ(pwrite(segment->fd(), &header, sizeof(header), 0), ssize_t{sizeof(header)});
    const auto code = codeOf([&] {
      const auto opened = open();
      ASSERT_LE(opened->dataBytes(), kSize);
    });
    // A size that is smaller but not 0 is one that the file has.
    if (code || at < 16) {
      EXPECT_EQ(code, ErrorCode::ERR_MALFORMED) << "byte " << at;
    }
  }
}

TEST_F(SegmentTest, OpensNoTruncatedFile) {
  for (const off_t size : {0, 7, 24, 4095, 4096, 5000, 4096 + static_cast<int>(kSize) - 1}) {
    const auto segment = create();
    ASSERT_EQ(ftruncate(segment->fd(), size), 0);
    EXPECT_EQ(codeOf([&] { open(); }), ErrorCode::ERR_MALFORMED) << size;
  }
}

TEST_F(SegmentTest, ItsMappingsSayItsName) {
  const auto segment = create([](Segment& made) { made.reserveAll(); });
  const Mapping mapping(
      {segment->fd(), 0, kSegmentHeaderBytes, PROT_READ | PROT_WRITE, MAP_SHARED});
  std::ifstream maps("/proc/self/maps");
  const std::string text{std::istreambuf_iterator<char>(maps), {}};
  EXPECT_NE(text.find(path() + "\n"), std::string::npos);
}

TEST_F(SegmentTest, AFailedPreparationLeavesNothing) {
  EXPECT_EQ(codeOf([&] { create([](Segment&) { throw Error(ErrorCode::ERR_FULL, "no"); }); }),
            ErrorCode::ERR_FULL);
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, NobodySeesItBeforeItIsPrepared) {
  std::atomic<bool> done{false};
  std::atomic<int> seen{0};
  std::thread reader([&] {
    while (!done) {
      const auto code = codeOf([&] {
        const auto segment = open();
        char first = 0;
        ASSERT_EQ(pread(segment->fd(), &first, 1, kSegmentHeaderBytes), 1);
        ASSERT_EQ(first, 'x');
        seen++;
      });
      ASSERT_TRUE(!code || code == ErrorCode::ERR_GONE);
    }
  });
  const auto prepare = [](Segment& made) {
    made.reserveAll();
    ASSERT_EQ(pwrite(made.fd(), "x", 1, kSegmentHeaderBytes), 1);
  };
  for (int round = 0; round < 500 || (seen == 0 && round < 100'000); round++) {
    // The reader may be the last one out for a moment: the name is then still there.
    const auto code = codeOf([&] { create(prepare); });
    ASSERT_TRUE(!code || code == ErrorCode::ERR_EXISTS);
  }
  done = true;
  reader.join();
  EXPECT_GT(seen, 0);
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, SignalsDoNotKeepALargeOneFromBeingAllocated) {
  // V8's profiler does this to the thread that runs JavaScript.
  struct sigaction action{};
  action.sa_handler = [](int) {};
  ASSERT_EQ(sigaction(SIGALRM, &action, nullptr), 0);
  const itimerval every_200_us = {{0, 200}, {0, 200}};
  ASSERT_EQ(setitimer(ITIMER_REAL, &every_200_us, nullptr), 0);
  const auto segment = Segment::create({name(), SegmentKind::kPlain, 64 << 20, nullptr});
  segment->reserveAll();
  const itimerval never = {};
  setitimer(ITIMER_REAL, &never, nullptr);
  EXPECT_EQ(segment->residentBytes(), kSegmentHeaderBytes + (64 << 20));
}

TEST_F(SegmentTest, AMoreThanFullFileSystemIsRefusedBeforeAnythingIsTouched) {
  EXPECT_EQ(
      codeOf([&] { Segment::create({name(), SegmentKind::kPlain, uint64_t{1} << 53, nullptr}); }),
      ErrorCode::ERR_FULL);
  EXPECT_FALSE(exists());
}

TEST_F(SegmentTest, ListsWhatThereIs) {
  const auto segment = create([](Segment& made) { made.reserveAll(); });
  std::optional<SegmentInfo> found;
  for (const SegmentInfo& info : Segment::list())
    if (info.name == name()) found = info;
  ASSERT_TRUE(found);
  EXPECT_EQ(found->path, path());
  EXPECT_EQ(found->kind, SegmentKind::kPlain);
  EXPECT_EQ(found->data_bytes, kSize);
  EXPECT_EQ(found->resident_bytes, segment->residentBytes());
}

TEST_F(SegmentTest, ListsNoneThatSaysItIsLargerThanItsFile) {
  const auto segment = create();
  const uint64_t bytes = uint64_t{1} << 60;
  ASSERT_EQ(pwrite(segment->fd(), &bytes, sizeof bytes, offsetof(SegmentHeader, data_bytes)), 8);
  for (const SegmentInfo& info : Segment::list()) EXPECT_NE(info.name, name());
}

TEST_F(SegmentTest, ListsNoneOfANameThatATerminalWouldObey) {
  const auto segment = create();
  const std::string odd = path() + "\x1b[2J";
  ASSERT_EQ(::link(path().c_str(), odd.c_str()), 0);
  for (const SegmentInfo& info : Segment::list())
    EXPECT_EQ(info.path.find('\x1b'), std::string::npos);
  ASSERT_EQ(::unlink(odd.c_str()), 0);
}

}  // namespace memdrift
