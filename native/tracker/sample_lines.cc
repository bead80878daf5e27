// SPDX-License-Identifier: MIT
#include "tracker/sample_lines.h"

#include <sys/uio.h>
#include <unistd.h>

namespace memdrift {

namespace {

// Of this process, wherever that is: false where nothing can be read.
template <typename Value>
bool readAt(uintptr_t address, Value& value) noexcept {
  const iovec to = {&value, sizeof value};
  const iovec from = {reinterpret_cast<void*>(address), sizeof value};
  return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == static_cast<ssize_t>(sizeof value);
}

// What libstdc++ puts into a block of a deque.
constexpr size_t kBlockBytes = 512;

}  // namespace

SampleLines::SampleLines(const v8_api::ProfilerApi& api, const v8_api::Profile* profile)
    : api_(api), profile_(profile) {
  if (profile && api.sampleCount(profile) > 0) find();
}

bool SampleLines::isOf(const Kept& kept, int i) const noexcept {
  return kept.node == api_.sample(profile_, i) && kept.time_us == api_.sampleTimeUs(profile_, i);
}

bool SampleLines::read(size_t kept_bytes, int i, Kept& kept) const noexcept {
  const size_t in_block = kBlockBytes / kept_bytes;
  const size_t index = (begin_.at - begin_.block) / kept_bytes + static_cast<size_t>(i);
  uintptr_t block = 0;
  return readAt(begin_.blocks + index / in_block * sizeof block, block) &&
         readAt(block + index % in_block * kept_bytes, kept);
}

// The first samples are a deque's first elements: which of the profile's words points to them, and
// how large one is.
void SampleLines::find() {
  constexpr size_t kMostWords = 64;
  constexpr size_t kSizes[] = {24, 32, 40, 48};
  const int last = api_.sampleCount(profile_) - 1;
  const auto profile = reinterpret_cast<uintptr_t>(profile_);
  Kept kept = {};
  for (size_t word = 0; word < kMostWords; word++) {
    if (!readAt(profile + word * sizeof(uintptr_t), begin_)) return;
    if (begin_.block_end - begin_.block > kBlockBytes || !readAt(begin_.at, kept)) continue;
    if (!isOf(kept, 0)) continue;
    for (const size_t size : kSizes)
      if (read(size, 0, kept) && isOf(kept, 0) && read(size, last, kept) && isOf(kept, last)) {
        kept_bytes_ = size;
        return;
      }
  }
}

uint32_t SampleLines::line(int i) const noexcept {
  Kept kept = {};
  if (kept_bytes_ == 0 || !read(kept_bytes_, i, kept) || !isOf(kept, i)) return 0;
  return kept.line > 0 ? static_cast<uint32_t>(kept.line) : 0;
}

}  // namespace memdrift
