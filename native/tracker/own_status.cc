// SPDX-License-Identifier: MIT
#include "tracker/own_status.h"

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdlib>

#include "errors.h"

namespace memdrift {

namespace {

std::atomic<bool> g_was_confined{false};

constexpr const char* kPath = "/proc/thread-self/status";
constexpr size_t kMostBytes = 16 << 10;

// Returns the number of filters; Linux before 5.9 does not count them, and the mode of seccomp
// stands for it.
unsigned long filtersIn(const std::string& status) {
  for (const char* name : {"\nSeccomp_filters:", "\nSeccomp:"}) {
    const size_t at = status.find(name);
    if (at != std::string::npos)
      return strtoul(status.c_str() + status.find(':', at) + 1, nullptr, 10);
  }
  return 0;
}

}  // namespace

OwnStatus::OwnStatus() : fd_(open(kPath, O_RDONLY | O_CLOEXEC)) {
  try {
    read();
  } catch (const Error&) {
    // The first read() of the writer fails in the same way, and its figures are recorded as
    // unknown.
  }
  first_filters_ = filters_;
  is_begun_ = true;
}

OwnStatus::~OwnStatus() {
  if (fd_ >= 0) close(fd_);
}

unsigned long OwnStatus::filtersNow() { return OwnStatus().filters_; }

bool OwnStatus::wasConfined() noexcept { return g_was_confined.load(std::memory_order_relaxed); }

Counters OwnStatus::read() {
  text_.resize(kMostBytes);
  ssize_t got;
  do {
    got = pread(fd_, text_.data(), text_.size(), 0);
  } while (got < 0 && errno == EINTR);
  if (got < 0) throw Error::fromErrno("read", kPath);
  text_.resize(static_cast<size_t>(got));
  filters_ = filtersIn(text_);
  if (is_begun_ && isConfined()) g_was_confined.store(true, std::memory_order_relaxed);
  Counters counters;
  parseStatus(text_, counters);
  return counters;
}

}  // namespace memdrift
