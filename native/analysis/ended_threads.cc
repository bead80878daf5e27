// SPDX-License-Identifier: MIT
// Bounds the memory of a replay by live threads and live blocks: a program may start thousands of
// threads, one after another.
#include <algorithm>
#include <unordered_set>

#include "analysis/live_memory.h"

namespace memdrift {

namespace {

// The record of a new thread names the stack of its maker, which may have ended since.
constexpr size_t kEndedNodes = 1 << 20;

}  // namespace

void LiveMemory::onStreamEnd(uint32_t stream) {
  const auto found = streams_.find(stream);
  if (found == streams_.end() || found->second.is_ended) return;
  found->second.is_ended = true;
  std::vector<uint32_t>().swap(found->second.block_sites);
  found->second.nodes.shrink_to_fit();
  ended_streams_.push_back(stream);
  ended_nodes_ += found->second.nodes.size();
  forgetEndedStacks();
}

void LiveMemory::forgetEndedStacks() {
  while (ended_nodes_ > kEndedNodes) {
    std::vector<uint32_t>& nodes = streams_[ended_streams_.front()].nodes;
    ended_streams_.pop_front();
    ended_nodes_ -= std::min(ended_nodes_, nodes.size());
    std::vector<uint32_t>().swap(nodes);
  }
}

bool LiveMemory::isIdle(uint32_t site) const {
  const bool is_named = timeline_ && timeline_->hasChanges(site);
  const bool is_temporary = site < temporary_.size() && temporary_[site].count != 0;
  return !is_named && !is_temporary && heap_.isIdle(site) && beside_.isIdle(site);
}

// Frees the numbers of sites that no report of the peak or the end can name, since they hold
// nothing and their threads have ended.
void LiveMemory::freeIdleSites() {
  if (!options_.keeps_ended && !options_.joins_threads) {
    std::unordered_set<uint32_t> ended;
    std::unordered_set<uint32_t> needed(free_sites_.begin(), free_sites_.end());
    needed.insert(left_out_sites_.begin(), left_out_sites_.end());
    for (const auto& [number, stream] : streams_) {
      if (stream.is_ended) ended.insert(number);
      needed.insert(stream.last_freed.site);
    }
    // A range may still name an idle site and touch pages for it later.
    ranges().forEach(
        [&](uint64_t, uint64_t, const RangeState& state) { needed.insert(state.site); });
    std::vector<bool> is_freed(sites_.size());
    for (uint32_t site = 1; site < sites_.size(); site++) {
      if (!ended.contains(sites_[site].stream) || needed.contains(site) || !isIdle(site)) continue;
      is_freed[site] = true;
      heap_.reset(site);
      beside_.reset(site);
      free_sites_.push_back(site);
    }
    std::erase_if(site_numbers_, [&](const auto& one) { return is_freed[one.second]; });
  }
  // The next search waits until the number of sites has doubled, so that its cost stays in
  // proportion.
  most_sites_ = std::max(options_.most_sites, 2 * (sites_.size() - free_sites_.size()));
}

}  // namespace memdrift
