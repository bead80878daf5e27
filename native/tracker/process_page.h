// SPDX-License-Identifier: MIT
// The session that hooks record for, in this process and not in copies of it.
#pragma once

#include <atomic>

namespace memdrift {

struct Session;
class SampledBlocks;

// The state that hooks read first. Its page is all zeros in a copy of this process, however that
// was made: a copy by bare clone(2) runs none of our code and has no writer.
struct alignas(4096) ProcessPage {
  std::atomic<Session*> session;
  std::atomic<SampledBlocks*> samples;
  std::atomic<bool> is_original;  // from the first session on
};
extern ProcessPage g_process_page;

// The sampled blocks; null: all blocks are recorded, or none. Never freed while a hook may hold it:
// the next session with samples uses it again.
inline constexpr auto& g_samples = g_process_page.samples;

// The session that hooks record for; null: none. See Recording.
inline constexpr auto& g_session = g_process_page.session;

// Returns true in a copy of a process that was tracked, by no system call; before Linux 4.14 only
// in a copy by fork().
inline bool isCopy() noexcept {
  return !g_process_page.is_original.load(std::memory_order_relaxed);
}

// Makes copies of the process find zeros in the page. Call it before the first session.
void keepPageFromCopies() noexcept;

}  // namespace memdrift
