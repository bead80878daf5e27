// SPDX-License-Identifier: MIT
// Which session hooks record for, in this process and not in copies of it.
#pragma once

#include <atomic>

namespace memdrift {

struct Session;
class SampledBlocks;

// What hooks look at first, in a page that is all zeros in a copy of this process, whoever made
// that: one by clone(2) alone runs none of our code, and has no writer.
struct alignas(4096) ProcessPage {
  std::atomic<Session*> session;
  std::atomic<SampledBlocks*> samples;
};
extern ProcessPage g_process_page;

// The blocks that are sampled; null: all blocks are recorded, or none. Never freed while a hook may
// hold it: the next session with samples uses it again.
inline constexpr auto& g_samples = g_process_page.samples;

// The session that hooks record for; null: none. See Recording.
inline constexpr auto& g_session = g_process_page.session;

// Has copies of the process find zeros there. Before the first session.
void keepPageFromCopies() noexcept;

}  // namespace memdrift
