// SPDX-License-Identifier: MIT
#include "test/model_client.h"

#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <unordered_map>

#include "shm/crash_point.h"
#include "shm/store.h"

namespace memdrift {

namespace {

constexpr uint64_t kTimeoutUs = 20'000'000;
constexpr int kHangMs = 60'000;

// The process's own side: its attachment, and what it fills and reads.
class Servant {
 public:
  explicit Servant(std::string store_name) : store_name_(std::move(store_name)) {}

  Report follow(const Order& order) {
    Report report{};
    report.right = true;
    crashAt(order.step.crash_point);
    try {
      act(order, report);
    } catch (const Error& error) {
      report.failed = true;
      report.code = error.code();
    }
    crashAt(0);
    return report;
  }

 private:
  void act(const Order& order, Report& report) {
    const uint64_t id = order.id;
    switch (order.step.act) {
      case Act::kOpen:
        store_ = Store::open(store_name_, {});
        break;
      case Act::kClose:
        rooms_.clear();
        views_.clear();
        store_.reset();
        break;
      case Act::kCreate:
        report.id = create(order.step.size_bytes);
        break;
      case Act::kFill:
        fill(order);
        break;
      case Act::kSeal:
        store_->seal(id);
        rooms_.erase(id);
        break;
      case Act::kAbort:
        store_->abort(id);
        rooms_.erase(id);
        break;
      case Act::kGiveBack:
        store_->giveBack(0, kTimeoutUs);
        break;
      case Act::kLook:
        report.objects = static_cast<uint32_t>(store_->list().size());
        report.live_bytes = store_->stats().live_bytes;
        break;
      default:
        read(order, report);
    }
  }

  void read(const Order& order, Report& report) {
    const uint64_t id = order.id;
    if (order.step.act == Act::kRemove) return store_->remove(id);
    if (order.step.act == Act::kHold) return store_->hold(id);
    if (order.step.act == Act::kRelease) return store_->release(id);
    if (order.step.act == Act::kGet) views_[id] = store_->get(id);
    if (order.step.act == Act::kWrite) write(views_.at(id));
    const bool written = order.written || order.step.act == Act::kWrite;
    report.right = isRight(views_.at(id), order, written);
  }

  uint64_t create(uint64_t size_bytes) {
    const Room room = store_->create({size_bytes, "model", kTimeoutUs, size_bytes % 2 == 0});
    rooms_[room.id] = room;
    return room.id;
  }

  void fill(const Order& order) {
    const Room& room = rooms_.at(order.id);
    for (uint64_t at = 0; at < room.size_bytes; at++) {
      if (at % kPageBytes == 0) crashPoint();
      room.bytes[at] = modelByte(order.step.object, at);
    }
  }

  static void write(const View& view) {
    for (uint64_t at = 0; at < view.size_bytes; at += kPageBytes) view.bytes[at] = kWrittenByte;
  }

  static bool isRight(const View& view, const Order& order, bool written) {
    if (view.size_bytes != order.size_bytes) return false;
    for (uint64_t at = 0; at < view.size_bytes; at++) {
      const bool own = written && at % kPageBytes == 0;
      if (own && view.bytes[at] != kWrittenByte) return false;
      if (!own && order.filled && view.bytes[at] != modelByte(order.step.object, at)) return false;
    }
    return true;
  }

  std::string store_name_;
  std::shared_ptr<Store> store_;
  std::unordered_map<uint64_t, Room> rooms_;
  std::unordered_map<uint64_t, View> views_;
};

[[noreturn]] void serve(int channel, const std::string& store_name) {
  Servant servant(store_name);
  Order order{};
  try {
    while (recv(channel, &order, sizeof(order), 0) == ssize_t{sizeof(order)}) {
      const Report report = servant.follow(order);
      if (send(channel, &report, sizeof(report), MSG_NOSIGNAL) != ssize_t{sizeof(report)}) break;
    }
  } catch (const std::exception& error) {
    fprintf(stderr, "client: %s: %s\n", textOf(order.step).c_str(), error.what());
  }
  _exit(1);
}

}  // namespace

void ModelClient::start() {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) abort();
  fflush(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    close(ends[0]);
    serve(ends[1], store_name_);
  }
  close(ends[1]);
  channel_ = ends[0];
}

std::optional<Report> ModelClient::follow(const Order& order) {
  if (channel_ < 0) start();
  Report report{};
  if (send(channel_, &order, sizeof(order), MSG_NOSIGNAL) != ssize_t{sizeof(order)})
    return std::nullopt;
  pollfd answer{channel_, POLLIN, 0};
  if (poll(&answer, 1, kHangMs) != 1) return std::nullopt;
  if (recv(channel_, &report, sizeof(report), 0) != ssize_t{sizeof(report)}) return std::nullopt;
  return report;
}

void ModelClient::kill() {
  if (channel_ < 0) return;
  ::kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  close(channel_);
  channel_ = -1;
}

bool ModelClient::wasKilledAtItsPoint() {
  // It may not be dead yet when its end of the channel is; one that hangs never is.
  int status = 0;
  pid_t ended = 0;
  for (int waited_ms = 0; ended == 0 && waited_ms < kHangMs; waited_ms++) {
    ended = waitpid(pid_, &status, WNOHANG);
    if (ended == 0) usleep(1000);
  }
  if (ended != pid_) return false;
  close(channel_);
  channel_ = -1;
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

}  // namespace memdrift
