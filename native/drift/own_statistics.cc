// SPDX-License-Identifier: MIT
#include "drift/own_statistics.h"

#include <dlfcn.h>

#include <cstddef>

namespace memdrift {

namespace {

using Mallctl = int (*)(const char*, void*, size_t*, void*, size_t);

bool read(Mallctl mallctl, const char* name, uint64_t& value) {
  size_t number = 0;
  size_t bytes = sizeof number;
  if (mallctl(name, &number, &bytes, nullptr, 0) != 0 || bytes != sizeof number) return false;
  value = number;
  return true;
}

}  // namespace

std::optional<OwnStatistics> readJemalloc() {
  auto mallctl = reinterpret_cast<Mallctl>(dlsym(RTLD_DEFAULT, "mallctl"));
  if (!mallctl) mallctl = reinterpret_cast<Mallctl>(dlsym(RTLD_DEFAULT, "je_mallctl"));
  if (!mallctl) return std::nullopt;
  // Its figures are of the last epoch: a new one begins now.
  uint64_t epoch = 1;
  size_t bytes = sizeof epoch;
  if (mallctl("epoch", &epoch, &bytes, &epoch, bytes) != 0) return std::nullopt;
  OwnStatistics all = {};
  if (!read(mallctl, "stats.allocated", all.allocated_bytes) ||
      !read(mallctl, "stats.active", all.active_bytes) ||
      !read(mallctl, "stats.resident", all.resident_bytes) ||
      !read(mallctl, "stats.retained", all.retained_bytes))
    return std::nullopt;
  return all;
}

std::string describeMimalloc() {
  using ProcessInfo =
      void (*)(size_t*, size_t*, size_t*, size_t*, size_t*, size_t*, size_t*, size_t*);
  const auto info = reinterpret_cast<ProcessInfo>(dlsym(RTLD_DEFAULT, "mi_process_info"));
  if (!info) return "";
  size_t elapsed = 0, user = 0, system = 0, rss = 0, peak_rss = 0, commit = 0, peak_commit = 0,
         faults = 0;
  info(&elapsed, &user, &system, &rss, &peak_rss, &commit, &peak_commit, &faults);
  return "it counts " + std::to_string(commit) + " bytes as committed, and not what is in use";
}

}  // namespace memdrift
