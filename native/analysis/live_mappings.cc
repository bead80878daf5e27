// SPDX-License-Identifier: MIT
#include "analysis/live_mappings.h"

#include <sys/mman.h>

#include <algorithm>
#include <utility>

namespace memdrift {

namespace {

bool isUsable(uint32_t protection) {
  return (protection & (PROT_READ | PROT_WRITE | PROT_EXEC)) != 0;
}

AllocationKind kindOfMapping(const Event& event) {
  if ((event.flags & MAP_SHARED) != 0) return AllocationKind::shared;
  return event.is_file ? AllocationKind::file : AllocationKind::mapping;
}

constexpr uint64_t kPageMask = 4095;
uint64_t endOf(uint64_t address, uint64_t bytes) {
  const uint64_t end = address + ((bytes + kPageMask) & ~kPageMask);
  return end < address ? UINT64_MAX & ~kPageMask : end;
}

bool isOfHeap(const RangeState& state) {
  return state.kind == static_cast<uint32_t>(AllocationKind::mapping);
}

// Returns the part of `whole` that `bytes` are of `of`.
uint64_t shareOf(uint64_t whole, uint64_t bytes, uint64_t of) {
  __extension__ using Wide = unsigned __int128;
  return of == 0 ? 0 : static_cast<uint64_t>(Wide{whole} * bytes / of);
}

}  // namespace

void LiveMappings::onEvent(const Event& event) {
  switch (event.type) {
    case EventType::map:
      return add(event);
    case EventType::unmap:
      return remove(event.address, endOf(event.address, event.bytes));
    case EventType::protect:
      return protect(event);
    case EventType::advise:
      return advise(event);
    case EventType::remap:
      return move(event);
    default:
      return;
  }
}

// Adds a range to the bounds (sign 1) or takes it out (-1), around each change of its state: they
// follow usable bytes that no look has seen, and bytes that count without a look.
void LiveMappings::account(const RangeState& state, uint64_t bytes, int64_t sign) {
  if (!isOfHeap(state)) return;
  const auto signed_bytes = [&](uint64_t count) { return sign * static_cast<int64_t>(count); };
  if (!countsResident()) return bounds_.assume(signed_bytes(state.resident_bytes));
  resident_ += signed_bytes(state.resident_bytes);
  if (state.is_usable) bounds_.unseen(signed_bytes(bytes - std::min(state.resident_bytes, bytes)));
}

// Sets the bytes of a range that count. The caller has taken the range out by account().
void LiveMappings::setBytes(RangeState& state, uint64_t bytes, int64_t count) {
  const auto change = static_cast<int64_t>(bytes - state.resident_bytes);
  state.resident_bytes = bytes;
  if (change != 0 || count != 0) totals_.weigh(state.site, change, count);
}

void LiveMappings::setCommitted(RangeState& state, uint64_t bytes, bool is_committed) {
  state.is_committed = is_committed;
  state.looks = 0;
  const uint64_t resident = countsResident() ? state.resident_bytes : is_committed ? bytes : 0;
  setBytes(state, resident, is_committed ? 1 : -1);
}

void LiveMappings::insert(const Event& event, RangeState state) {
  const uint64_t end = endOf(event.address, event.bytes);
  remove(event.address, end);
  if (event.address >= end) return;
  const uint64_t bytes = end - event.address;
  const uint64_t carried = std::min(std::exchange(state.resident_bytes, 0), bytes);
  if (state.is_usable) {
    totals_.made(state.site, bytes);
    setCommitted(state, bytes, true);
  }
  if (countsResident()) setBytes(state, carried, 0);
  account(state, bytes, 1);
  ranges_.add(event.address, end, state);
}

void LiveMappings::add(const Event& event) {
  const AllocationKind kind = kindOfMapping(event);
  RangeState state;
  state.site = totals_.siteOf(event, kind);
  state.kind = static_cast<uint32_t>(kind);
  state.is_usable = isUsable(event.protection);
  insert(event, state);
}

// Moves pages with their mapping. Without old bytes the old mapping stays, and the new one has its
// kind.
void LiveMappings::move(const Event& event) {
  const uint64_t old_end = endOf(event.old_address, event.old_bytes);
  RangeState state;
  state.kind = static_cast<uint32_t>(AllocationKind::mapping);
  state.is_usable = true;
  if (const RangeState* old = ranges_.find(event.old_address)) {
    state.kind = old->kind;
    state.is_usable = old->is_usable;
  }
  ranges_.change(event.old_address, old_end, [&](const RangeState& before, uint64_t) {
    state.resident_bytes += before.resident_bytes;
  });
  remove(event.old_address, old_end);
  state.site = totals_.siteOf(event, static_cast<AllocationKind>(state.kind));
  insert(event, state);
}

// Attributes bytes to the call that makes them usable, not to the one that reserves them, as V8
// does first.
void LiveMappings::protect(const Event& event) {
  const bool is_usable = isUsable(event.protection);
  ranges_.change(event.address, endOf(event.address, event.bytes),
                 [&](RangeState& state, uint64_t bytes) {
                   account(state, bytes, -1);
                   state.is_usable = is_usable;
                   if (is_usable && !state.is_committed) {
                     const uint64_t resident = state.resident_bytes;
                     setBytes(state, 0, 0);
                     state.site = totals_.siteOf(event, static_cast<AllocationKind>(state.kind));
                     totals_.made(state.site, bytes);
                     setBytes(state, resident, 0);
                   }
                   if (state.is_committed != is_usable) setCommitted(state, bytes, is_usable);
                   account(state, bytes, 1);
                 });
}

// Stops counting pages that are given back, until they are protected again, which is how V8 takes
// them back, or until a look finds some. MADV_FREE leaves them resident until the kernel needs
// them.
void LiveMappings::advise(const Event& event) {
  ranges_.change(event.address, endOf(event.address, event.bytes),
                 [&](RangeState& state, uint64_t bytes) {
                   account(state, bytes, -1);
                   if (countsResident() && event.advice != MADV_FREE) {
                     forget(state, bytes);
                     setBytes(state, 0, 0);
                   } else if (isOfHeap(state)) {
                     bounds_.mayBeGone(state.resident_bytes);
                   }
                   state.looks = 0;
                   if (state.is_committed) setCommitted(state, bytes, false);
                   account(state, bytes, 1);
                 });
}

// Notes the pages that were touched since the last look and are gone without having been seen.
void LiveMappings::forget(const RangeState& state, uint64_t bytes) {
  if (!isOfHeap(state) || !state.is_usable) return;
  bounds_.goneUnseen(bytes - std::min(state.resident_bytes, bytes));
}

void LiveMappings::remove(uint64_t begin, uint64_t end) {
  ranges_.remove(begin, end, [this](RangeState& state, uint64_t bytes) {
    account(state, bytes, -1);
    if (countsResident()) forget(state, bytes);
    setBytes(state, 0, state.is_committed ? -1 : 0);
  });
}

// Gives each part of a range its share of the resident pages, whose places are unknown.
void LiveMappings::split(RangeMap::Part first, RangeMap::Part second) {
  const uint64_t resident = first.state.resident_bytes;
  const uint64_t bytes = first.bytes + second.bytes;
  first.state.resident_bytes = shareOf(resident, first.bytes, bytes);
  second.state.resident_bytes = resident - first.state.resident_bytes;
  first.state.looks = second.state.looks = 0;
  if (first.state.is_committed) totals_.weigh(first.state.site, 0, 1);
  if (!countsResident() || !isOfHeap(first.state)) return;
  const uint64_t holes = bytes - std::min(resident, bytes);
  bounds_.unsure(std::min({resident, holes, first.bytes, second.bytes}));
}

void LiveMappings::onLook(std::span<const MappingResidency> look, int64_t peak_bytes) {
  if (weight_ == MappingWeight::committed) return;
  if (!look.empty() && look.front().resident_bytes == kNoMoreLooks.resident_bytes) {
    if (has_looks_) setLooks(false, peak_bytes);
    return;
  }
  const bool is_first = !has_looks_;
  if (is_first) setLooks(true, peak_bytes);
  // Losses first: pages that move to a neighbour would otherwise count twice for a moment and make
  // a false peak.
  for (const MappingResidency& found : look) spread(found, Pass::losses);
  for (const MappingResidency& found : look) spread(found, Pass::gains);
  if (!is_first) bounds_.close(peak_bytes);
}

// Counts resident bytes from the first look on, and all usable bytes without looks.
void LiveMappings::setLooks(bool has_looks, int64_t peak_bytes) {
  ranges_.changeAll([this](RangeState& state, uint64_t bytes) { account(state, bytes, -1); });
  bounds_.close(peak_bytes);
  has_looks_ = has_looks;
  ranges_.changeAll([&](RangeState& state, uint64_t bytes) {
    setBytes(state, !has_looks && state.is_committed ? bytes : 0, 0);
    account(state, bytes, 1);
  });
}

// Divides the pages that a look found in a mapping among its ranges, usable ones first. Usually
// there is one range, as in the writer's list.
void LiveMappings::spread(const MappingResidency& found, Pass pass) {
  uint64_t usable = 0, others = 0, resident = 0;
  bool is_of_heap = false;
  const uint64_t end = endOf(found.address, found.bytes);
  ranges_.change(found.address, end, [&](const RangeState& state, uint64_t bytes) {
    (state.is_usable ? usable : others) += bytes;
    resident += state.resident_bytes;
    is_of_heap = isOfHeap(state);
  });
  const uint64_t in_usable = std::min(found.resident_bytes, usable);
  const uint64_t in_others = std::min(found.resident_bytes - in_usable, others);
  if (pass == Pass::losses && is_of_heap && in_usable + in_others > resident)
    bounds_.gained(in_usable + in_others - resident);
  ranges_.change(found.address, end, [&](RangeState& state, uint64_t bytes) {
    const uint64_t share =
        state.is_usable ? shareOf(in_usable, bytes, usable) : shareOf(in_others, bytes, others);
    if (pass == Pass::losses && share >= state.resident_bytes) return;
    account(state, bytes, -1);
    const bool is_taken_again = share > 0 && state.is_usable && !state.is_committed;
    state.is_committed |= is_taken_again;
    if (pass == Pass::gains && state.looks < kEnoughLooks) state.looks++;
    setBytes(state, share, is_taken_again ? 1 : 0);
    account(state, bytes, 1);
  });
}

// Pages that were touched after the last look are in the RSS of the later rows.
void LiveMappings::finish(int64_t peak_bytes, uint64_t rss_anon_bytes) {
  const auto known = static_cast<uint64_t>(std::max<int64_t>(resident_, 0));
  const auto unseen = static_cast<uint64_t>(std::max<int64_t>(bounds_.unseenBytes(), 0));
  bounds_.gained(std::min(unseen, rss_anon_bytes - std::min(known, rss_anon_bytes)));
  bounds_.close(peak_bytes);
}

}  // namespace memdrift
