// SPDX-License-Identifier: MIT
#include "proc/smaps.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>

#include "errors.h"
#include "proc/counters.h"
#include "proc/hugetlb.h"
#include "proc/read_file.h"
#include "test/child.h"

namespace memdrift {

static std::string fixture(const std::string& name) {
  std::ifstream file(std::string(FIXTURES "/proc/") + name);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

static SmapsTable parseInChunks(const std::string& text, size_t chunk) {
  SmapsParser parser;
  for (size_t at = 0; at < text.size(); at += chunk)
    parser.feed(text.data() + at, std::min(chunk, text.size() - at));
  return parser.finish();
}

static void expectSame(const SmapsTable& a, const SmapsTable& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(a.mappings.strings.strings(), b.mappings.strings.strings());
  for (size_t i = 0; i < a.size(); i++) {
    EXPECT_EQ(a.mappings[i].start_address, b.mappings[i].start_address);
    EXPECT_EQ(a.mappings[i].name, b.mappings[i].name);
    EXPECT_EQ(a.mappings[i].vm_flags, b.mappings[i].vm_flags);
    for (size_t field = 0; field < kSmapsFieldCount; field++) {
      const double x = a.values[i][field], y = b.values[i][field];
      EXPECT_TRUE(x == y || (std::isnan(x) && std::isnan(y))) << i << " " << field;
    }
  }
}

TEST(SmapsParser, GivesTheSameForChunksOfAnySize) {
  for (const char* name : {"smaps.3.10", "smaps.4.18", "smaps.5.14", "smaps.6.18"}) {
    const std::string text = fixture(name);
    ASSERT_FALSE(text.empty());
    const SmapsTable whole = parseSmaps(text);
    for (const size_t chunk : {1, 2, 3, 7, 27, 28, 29, 64, 700, 4095}) {
      SCOPED_TRACE(std::string(name) + " in chunks of " + std::to_string(chunk));
      expectSame(whole, parseInChunks(text, chunk));
    }
  }
}

// The fast path (a line like that of the mapping before) and the general one must agree, so the
// same numbers are written in a form that the fast path does not take.
TEST(SmapsParser, ReadsExpectedAndOtherLinesAlike) {
  const std::string text = fixture("smaps.6.18");
  std::string tabs;
  for (const char c : text) tabs += c;
  for (size_t at; (at = tabs.find(":                ")) != tabs.npos;) tabs.replace(at, 2, ":\t");
  expectSame(parseSmaps(text), parseSmaps(tabs));
}

TEST(SmapsParser, TakesNoNumberThatOnlyLooksRight) {
  const std::string mapping = "1000-2000 rw-p 00000000 00:00 0 \nRss:                   4 kB\n";
  const auto second = [&](const char* line) { return mapping + mapping.substr(0, 33) + line; };
  ASSERT_EQ(parseSmaps(second("Rss:                  12 kB\n")).value(1, SmapsField::rss_bytes),
            12 * 1024);
  for (const char* line : {"Rss:                 1 2 kB\n", "Rss:                 :12 kB\n",
                           "Rss:                  1: kB\n", "Rss:                 -12 kB\n",
                           "Rss:                     kB\n", "Rss:                  12 MB\n",
                           "Rss:            \x10\x10\x10\x10\x10\x10\x10\x31 kB\n"}) {
    SCOPED_TRACE(line);
    try {
      parseSmaps(second(line));
      ADD_FAILURE() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::ERR_MALFORMED);
      EXPECT_NE(std::string(error.what()).find("line 4"), std::string::npos) << error.what();
    }
  }
}

TEST(SmapsParser, CountsLinesOfAllKinds) {
  std::string text = fixture("smaps.6.18");
  const auto lines = std::count(text.begin(), text.end(), '\n');
  text += "nonsense\n";
  try {
    parseSmaps(text);
    ADD_FAILURE() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("line " + std::to_string(lines + 1)),
              std::string::npos)
        << error.what();
  }
}

TEST(SmapsTable, TotalsAreNanWhereNothingIsReported) {
  const SmapsTable table = parseSmaps(fixture("smaps.3.10"));
  EXPECT_TRUE(std::isnan(table.total(SmapsField::swap_pss_bytes)));
  EXPECT_EQ(table.total(SmapsField::nonlinear_bytes), 4096);
  EXPECT_EQ(parseSmaps("").total(SmapsField::swap_pss_bytes), 0);
}

TEST(ReadSmaps, AgreesWithTheRollupOfAStoppedProcess) {
  const StoppedChild child([] {
    memset(mmap(nullptr, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0), 1,
           1 << 19);
  });
  ASSERT_TRUE(child.stopped());
  const SmapsTable table = readSmaps(child.pid());
  const Rollup rollup = readRollup(child.pid());
  EXPECT_EQ(rollup.source, Rollup::Source::kRollup);
  // Not what is private: pages are shared with this process, which runs on and copies them.
  for (const SmapsField field :
       {SmapsField::rss_bytes, SmapsField::anonymous_bytes, SmapsField::swap_bytes})
    EXPECT_EQ(table.total(field), rollup[field]);
  EXPECT_EQ(table.total(SmapsField::rss_bytes), readCounters(child.pid()).rss_bytes);
}

TEST(ReadSmaps, IsWholeOrSaysGoneWhenTheProcessIsKilledDuringTheRead) {
  constexpr int kMappings = 2000;
  int gone = 0;
  for (int delay_us = 0; delay_us < 8000; delay_us += 200) {
    const StoppedChild child([] {
      for (int i = 0; i < kMappings; i++)
        mmap(nullptr, 4096, i % 2 ? PROT_READ : PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
             -1, 0);
    });
    ASSERT_TRUE(child.stopped());
    std::thread killer([&] {
      std::this_thread::sleep_for(std::chrono::microseconds(delay_us));
      kill(child.pid(), SIGKILL);
    });
    try {
      const size_t size = readSmaps(child.pid()).size();
      // All, or none when it was a zombie before the first read.
      EXPECT_TRUE(size == 0 || size > kMappings) << size;
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::ERR_GONE) << error.what();
      gone++;
    }
    killer.join();
  }
  RecordProperty("gone", gone);
}

TEST(ReadSmaps, FindsNothingInAZombie) {
  const pid_t pid = fork();
  if (pid == 0) _exit(0);
  siginfo_t info;
  waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT);
  EXPECT_EQ(readSmaps(pid).size(), 0u);
  EXPECT_EQ(readMaps(pid).size(), 0u);
  EXPECT_EQ(readRollup(pid)[SmapsField::pss_bytes], 0);
  EXPECT_TRUE(std::isnan(readCounters(pid).rss_bytes));
  waitpid(pid, nullptr, 0);
  EXPECT_THROW(readSmaps(pid), Error);
  EXPECT_THROW(readRollup(pid), Error);
}

TEST(ProcFile, TellsAMissingProcessFromAMissingFile) {
  try {
    ProcFile(kSelf, "no_such_file");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ERR_UNSUPPORTED) << error.what();
  }
  try {
    ProcFile(0, "smaps");
    ADD_FAILURE();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::ERR_GONE) << error.what();
  }
}

TEST(Hugetlb, FindsItsMountsInMountinfo) {
  std::vector<dev_t> devices;
  addHugetlbMounts(
      "24 1 0:22 / /dev/hugepages rw,relatime shared:12 - hugetlbfs hugetlbfs rw,pagesize=2M\n"
      "25 1 0:23 / /dev/shm rw - tmpfs tmpfs rw\n",
      devices);
  ASSERT_EQ(devices.size(), 1u);
  EXPECT_EQ(devices[0], static_cast<dev_t>(22));
}

}  // namespace memdrift
