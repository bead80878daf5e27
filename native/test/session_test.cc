// SPDX-License-Identifier: MIT
#include "tracker/session.h"

#include <gtest/gtest.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <latch>
#include <thread>

namespace memdrift {

namespace {

std::atomic<uint32_t> g_number{1000};

class SessionTest : public testing::Test {
 protected:
  void SetUp() override {
    session_.streams = &streams_;
    session_.number = g_number.fetch_add(1);
    keepPageFromCopies();
    openSession(&session_);
  }
  void TearDown() override {
    if (g_session.load()) closeSession();
  }

  StreamSet streams_;
  Session session_;
};

// The stream of a record that this thread makes now; 0: it makes none.
[[gnu::noinline]] uint32_t streamOfARecord() {
  const Recording recording;
  return recording ? recording.thread().stream->index() : 0;
}

jmp_buf g_place;

// Both run deeper on the stack than later records: a guard is known to be gone once the stack has
// given up its place.
[[gnu::noinline]] void leaveARecord() {
  [[maybe_unused]] volatile char room[4096];
  room[0] = 0;
  const Recording recording;
  if (recording) longjmp(g_place, 1);
}

[[gnu::noinline]] void leaveARealCall() {
  [[maybe_unused]] volatile char room[4096];
  room[0] = 0;
  const NoReentry guard;
  longjmp(g_place, 1);
}

TEST_F(SessionTest, ContinuesInAnotherStreamAfterAJumpOutOfARecord) {
  const uint32_t before = streamOfARecord();
  if (setjmp(g_place) == 0) leaveARecord();
  EXPECT_TRUE(isInside());
  const uint32_t after = streamOfARecord();
  EXPECT_NE(after, 0U);
  EXPECT_NE(after, before);
  EXPECT_EQ(streamOfARecord(), after);
  EXPECT_EQ(unstreamedDrops(), 1U);
  EXPECT_EQ(closeSession(), 0U);
}

TEST_F(SessionTest, ContinuesInItsStreamAfterAJumpOutOfARealCall) {
  const uint32_t before = streamOfARecord();
  if (setjmp(g_place) == 0) leaveARealCall();
  EXPECT_EQ(streamOfARecord(), before);
}

TEST_F(SessionTest, CountsRecordsOfAHandlerThatInterruptsARecordAsLost) {
  static uint32_t in_handler;
  in_handler = 1;
  signal(SIGUSR1, [](int) { in_handler = streamOfARecord(); });
  {
    const Recording recording;
    ASSERT_TRUE(recording);
    raise(SIGUSR1);
  }
  signal(SIGUSR1, SIG_DFL);
  EXPECT_EQ(in_handler, 0U);
  EXPECT_EQ(unstreamedDrops(), 1U);
}

class SignalStack {
 public:
  SignalStack() {
    const stack_t own = {.ss_sp = memory_, .ss_flags = 0, .ss_size = sizeof memory_};
    sigaltstack(&own, nullptr);
  }
  ~SignalStack() {
    const stack_t none = {.ss_sp = nullptr, .ss_flags = SS_DISABLE, .ss_size = 0};
    sigaltstack(&none, nullptr);
  }
  void* memory() { return memory_; }

 private:
  alignas(64) char memory_[1 << 16];
};

sigjmp_buf g_outside;

TEST_F(SessionTest, ContinuesAfterAJumpOutOfAHandlerOnAnotherStack) {
  EXPECT_NE(streamOfARecord(), 0U);
  const auto other = std::make_unique<SignalStack>();
  struct sigaction action = {};
  action.sa_handler = [](int) {
    const Recording recording;
    siglongjmp(g_outside, 1);
  };
  action.sa_flags = SA_ONSTACK;
  sigaction(SIGUSR1, &action, nullptr);
  if (sigsetjmp(g_outside, 1) == 0) raise(SIGUSR1);
  signal(SIGUSR1, SIG_DFL);
  EXPECT_NE(streamOfARecord(), 0U);
}

ucontext_t g_own, g_other;
uint32_t g_seen_in_context;

// A context that a program switches to in the middle of a record, and back: the record is alive.
TEST_F(SessionTest, MakesNoRecordWithinOneOfAnotherContext) {
  EXPECT_NE(streamOfARecord(), 0U);
  static char stack[1 << 16];
  getcontext(&g_other);
  g_other.uc_stack = {.ss_sp = stack, .ss_flags = 0, .ss_size = sizeof stack};
  g_other.uc_link = nullptr;
  makecontext(
      &g_other,
      [] {
        const Recording recording;
        g_seen_in_context = recording ? 1 : 0;
        swapcontext(&g_other, &g_own);
        // Its end comes last.
        g_seen_in_context += recording.thread().stage == ThreadTracking::kRecording ? 1 : 0;
        swapcontext(&g_other, &g_own);
      },
      0);
  swapcontext(&g_own, &g_other);
  EXPECT_EQ(streamOfARecord(), 0U);
  swapcontext(&g_own, &g_other);
  EXPECT_EQ(g_seen_in_context, 2U);
}

TEST_F(SessionTest, DoesNotWaitForAThreadThatStaysInARecord) {
  std::latch begun(1), done(1);
  std::thread stays([&] {
    const Recording recording;
    begun.count_down();
    done.wait();
  });
  begun.wait();
  EXPECT_EQ(closeSession(), 1U);
  done.count_down();
  stays.join();
}

TEST_F(SessionTest, KnowsThatAThreadHasEnded) {
  // A thread that the tracker did not see begin ends in the middle of a record.
  std::thread([] {
    Recording recording;
    pthread_exit(nullptr);
  }).join();
  uint32_t threads = 0;
  forgetEndedThreads(session_);
  forEachThread(session_.number, [&](ThreadTracking&) { threads++; });
  EXPECT_EQ(threads, 0U);
}

TEST_F(SessionTest, RecordsNothingInACopyOfTheProcess) {
  EXPECT_NE(streamOfARecord(), 0U);
  const auto pid = static_cast<pid_t>(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0));
  if (pid == 0) _exit(streamOfARecord() == 0 ? 0 : 1);
  int status = -1;
  waitpid(pid, &status, 0);
  EXPECT_EQ(status, 0);
}

}  // namespace

}  // namespace memdrift
