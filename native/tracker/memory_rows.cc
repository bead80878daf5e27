// SPDX-License-Identifier: MIT
// The memory series of a capture: a row for each tick of the writer.
#include <algorithm>
#include <cmath>
#include <ctime>

#include "errors.h"
#include "proc/counters.h"
#include "tracker/isolates.h"
#include "tracker/tracker.h"

namespace memdrift {

namespace {

constexpr uint64_t kLeastIntervalNs = 100'000'000;
// Looks at what is resident take at most this part of a processor: one in this many.
constexpr uint64_t kLookCostFactor = 400;
constexpr double kMostDriftBytes = 1 << 20;

uint64_t bytesOrUnknown(double bytes) {
  return std::isnan(bytes) ? kUnknown : static_cast<uint64_t>(bytes);
}

// Returns the processor time that the calling thread has used.
uint64_t ownCpuNs() {
  timespec used = {};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
  return static_cast<uint64_t>(used.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(used.tv_nsec);
}

template <typename Entry>
std::string_view bytesOf(const std::vector<Entry>& entries) {
  return {reinterpret_cast<const char*>(entries.data()), entries.size() * sizeof(Entry)};
}

}  // namespace

void Tracker::addMemory() {
  MemoryPayload payload;
  std::fill_n(reinterpret_cast<uint64_t*>(&payload), sizeof payload / sizeof(uint64_t), kUnknown);
  payload.time_ns = monotonicNs();
  try {
    const Counters counters = own_status_->read();
    payload.rss_anon_bytes = bytesOrUnknown(counters.rss_anon_bytes);
    payload.rss_file_bytes = bytesOrUnknown(counters.rss_file_bytes);
    payload.rss_shmem_bytes = bytesOrUnknown(counters.rss_shmem_bytes);
    payload.swap_bytes = bytesOrUnknown(counters.swap_bytes);
    lookAround(payload);
  } catch (const Error&) {
    // No descriptor left, as a rule: a row of what is not known.
  }
  writer_->add(FrameType::memory, payloadOf(payload));
}

void Tracker::lookAtChildren(uint64_t now_ns) {
  if (now_ns < next_children_ns_) return;
  const uint64_t begin_ns = ownCpuNs();
  for (const OwnChild& child : own_children_->look(now_ns)) {
    writer_->add(FrameType::child, payloadOf(child.fixed, child.name + child.arguments));
    child_peaks_.add({child.fixed, child.name, child.arguments});
  }
  const uint64_t took_ns = ownCpuNs() - begin_ns;
  next_children_ns_ = now_ns + std::max(kLeastIntervalNs, took_ns * kLookCostFactor);
}

// Records once that looks at mappings have ended.
void Tracker::endLooks() {
  if (std::exchange(has_ended_looks_, true)) return;
  writer_->add(FrameType::residency, payloadOf(kNoMoreLooks));
}

void Tracker::lookAround(MemoryPayload& payload) {
  const HeapNumbers heap = Isolates::instance().heapNumbers();
  payload.heap_total_bytes = heap.total_bytes;
  payload.heap_used_bytes = heap.used_bytes;
  payload.external_bytes = heap.external_bytes;
  if (payload.time_ns >= next_numbers_ns_) {
    next_numbers_ns_ = payload.time_ns + kLeastIntervalNs;
    Isolates::instance().askForNumbers();
  }
  if (!own_status_->isConfined()) lookAtChildren(payload.time_ns);
  own_memory_->keepUp();
  if (payload.time_ns < next_residency_ns_) return;
  // Residency is read from files that are opened each time.
  if (own_status_->isConfined()) return endLooks();
  const uint64_t begin_ns = ownCpuNs();
  writer_->beginEpoch();
  const OwnMemory::Look look = own_memory_->look();
  ResidentParts parts = look.parts;
  // Pages that came or went meanwhile are in one number and not in the other.
  const Counters after = own_status_->read();
  const double drift_bytes =
      std::abs(after.rss_anon_bytes - static_cast<double>(payload.rss_anon_bytes)) +
      std::abs(after.rss_shmem_bytes - static_cast<double>(payload.rss_shmem_bytes));
  if (!(drift_bytes <= kMostDriftBytes)) parts = {};
  payload.mapped_resident_bytes = parts.mapped_bytes;
  payload.malloc_resident_bytes = parts.malloc_bytes;
  payload.stack_resident_bytes = parts.stack_bytes;
  payload.store_resident_bytes = parts.store_bytes;
  payload.own_bytes = parts.own_bytes;
  if (!look.stacks.empty()) writer_->add(FrameType::stacks, {{}, bytesOf(look.stacks)});
  if (look.has_mappings)
    writer_->add(FrameType::residency, {{}, bytesOf(look.mappings)});
  else
    endLooks();
  const uint64_t took_ns = ownCpuNs() - begin_ns;
  next_residency_ns_ = payload.time_ns + std::max(kLeastIntervalNs, took_ns * kLookCostFactor);
}

}  // namespace memdrift
