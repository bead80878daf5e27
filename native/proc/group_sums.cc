// SPDX-License-Identifier: MIT
// Adds each member's part to the bounds of a group.
#include "proc/group_sums.h"

namespace memdrift {

namespace {

// Scales a share of a counter by the counter's change.
double moved(double share, double then, double now) { return then > 0 ? share * now / then : 0; }

// Bounds the anonymous pages that other processes shared at the read. A page of n processes counts
// 1/n in PSS, so at least half of a shared page is missing.
double sharedAnon(const MemberRead& read) { return std::min(read.anon, 2 * missingAnon(read)); }

}  // namespace

// Returns whether its parent's counters cover all that a process can have inherited: its parent is
// the first one seen, and no possible ancestor ended unseen.
bool GroupEstimate::isCovered(const MemberLook& look) const {
  if (base_.members.contains(look.id) || now_.early_ends != base_.early_ends) return false;
  const MemberLook* at = &look;
  for (size_t depth = 0; depth < now_.members.size(); depth++) {
    if (base_.born.contains(at->id)) return false;
    if (traces_.at(at->id).first_parent != at->parent_pid) return false;
    const auto parent = by_pid_.find(at->parent_pid);
    if (parent == by_pid_.end()) return false;
    if (baseOf(parent->second->id) != nullptr) return true;
    at = parent->second;
  }
  return false;
}

// Returns true when pages may have come back from swap. Another process that got such a page back
// earlier may share it.
bool GroupEstimate::canHaveSwapped(const MemberLook& look) const {
  return traces_.at(look.id).has_swapped ||
         !(now_.system.swapped_bytes == base_.system.swapped_bytes);
}

// Returns the most anonymous memory that a covered process can have inherited: the most that its
// ancestors had, up to one that was read, and all that those between made before they ran another
// program.
double GroupEstimate::inheritable(const MemberLook& look) const {
  double most = 0, made = huge_bytes_;
  for (const MemberLook* at = &look; baseOf(at->id) == nullptr;) {
    if (canHaveSwapped(*at)) return kInfinite;
    at = by_pid_.at(at->parent_pid);
    if (canHaveSwapped(*at)) return kInfinite;
    most = std::max(most, traces_.at(at->id).most_rss);
    if (baseOf(at->id) == nullptr) made += rules_.anon_pages_per_fault * faultsSince(*at, nullptr);
  }
  return most + made;
}

double GroupEstimate::faultsSince(const MemberLook& look, const Member* base) const {
  const double before = base ? base->start.fault_bytes : 0;
  return knownOr(positive(look.fault_bytes - before), kInfinite);
}

// Returns the most new pages of a process that can be left. Pages that it passed on by fork may be
// left even when it has none of them.
double GroupEstimate::mostMade(const MemberLook& look, double rss) const {
  return forked_.contains(look.pid) ? kInfinite : rss;
}

void GroupEstimate::addAnon(const MemberLook& look, const Member* base, Sums& sums) const {
  const double rss = look.rss[kAnonPart];
  const double faulted = rules_.anon_pages_per_fault * faultsSince(look, base);
  sums.rss[kAnonPart] += rss;
  const double made = mostMade(look, rss);
  if (base == nullptr) {
    const double grown = isCovered(look) ? std::min(made, faulted) : rss;
    const double own = isCovered(look) ? positive(rss - inheritable(look)) : 0;
    sums.low[kAnonPart] += own;
    sums.high[kAnonPart] += grown;
    sums.value[kAnonPart] += std::max(own, grown);
    sums.spare += positive(rss - grown);
    return;
  }
  const MemberRead& read = base->read;
  const double pss = read.pss[kAnonPart], missing = missingAnon(read);
  const double change = rss - read.anon;
  // New pages of its own, or pages shared at the read; after a fork all pages may be new.
  const double most = made > rss ? made : std::min(rss, change + sharedAnon(read));
  const auto grown = [&](double limit) { return std::min(faulted, limit); };
  sums.pss[kAnonPart] += pss;
  sums.missing[kAnonPart] += missing;
  sums.high[kAnonPart] += pss + grown(most);
  sums.spare += positive(std::min(most, rss) - positive(grown(most)));
  double low = std::max({0.0, change, pss + change});
  if (canHaveSwapped(look)) low = positive(std::min(low, pss + change - faulted));
  sums.low[kAnonPart] += low;
  const double copied = std::min(positive(faultsSince(look, base) - positive(change)), missing);
  sums.value[kAnonPart] +=
      change >= 0 ? pss + change + copied : moved(pss, read.anon, rss) + copied;
}

// Returns the most that a process can have mapped of files since the pass, or since its start.
double GroupEstimate::takenOf(const MemberLook& look, const Member* base, double rss) const {
  if (base == nullptr && !isCovered(look)) return rss;
  return std::min(rules_.file_pages_per_fault * faultsSince(look, base), mostMade(look, rss));
}

void GroupEstimate::addFile(const MemberLook& look, const Member* base, Sums& sums) const {
  const double rss = look.rss[kFilePart];
  const double taken = takenOf(look, base, rss);
  sums.rss[kFilePart] += rss;
  if (base == nullptr) {
    sums.high[kFilePart] += taken;
    sums.spare += positive(rss - taken);
    return;
  }
  const double pss = base->read.pss[kFilePart];
  const double then = std::max(base->start.rss[kFilePart], base->after.rss[kFilePart]);
  sums.pss[kFilePart] += pss;
  sums.missing[kFilePart] += positive(then - pss);
  sums.high[kFilePart] += pss + taken;
  sums.spare += positive(rss - taken);
  const double gone = positive(taken - (rss - then));
  sums.gone += std::min(gone, then) + taken;
  sums.low[kFilePart] += positive(pss - gone);
  sums.value[kFilePart] += moved(pss, then, rss);
}

void GroupEstimate::addShmem(const MemberLook& look, const Member* base, Sums& sums) const {
  const double rss = look.rss[kShmemPart];
  const double taken = takenOf(look, base, rss);
  sums.rss[kShmemPart] += rss;
  sums.other_high += taken;
  sums.spare += positive(rss - taken);
  if (base == nullptr) {
    sums.high[kShmemPart] += taken;
    return;
  }
  const double pss = base->read.pss[kShmemPart];
  const double other = positive(pss - base->read.segment_pss);
  const double then = std::max(base->start.rss[kShmemPart], base->after.rss[kShmemPart]);
  const double gone = positive(taken - (rss - then));
  sums.gone += std::min(gone, then) + taken;
  sums.pss[kShmemPart] += pss;
  sums.missing[kShmemPart] += positive(then - pss);
  sums.high[kShmemPart] += pss + taken;
  sums.low[kShmemPart] += positive(pss - gone);
  if (rules_.is_closed) sums.closed_low += positive(base->read.closed_pss - gone);
  sums.value[kShmemPart] += moved(pss, then, rss);
  if (rss > then) sums.largest_shmem = std::max(sums.largest_shmem, rss);
  sums.other_low += positive(other - gone);
  sums.other_value += moved(other, then, rss);
  sums.other_high += other > 0 ? other + positive(then - pss) : 0;
  const double window = positive(base->after.fault_bytes - base->start.fault_bytes);
  sums.joined += std::min(rules_.file_pages_per_fault * knownOr(window, kInfinite),
                          base->read.rss - std::min(base->read.rss, base->read.anon));
}

// Adds a member's USS. Its own pages stay its own until it gives them up or a new process shares
// them.
void GroupEstimate::addUss(const MemberLook& look, const Member* base, Sums& sums) const {
  const double rss = look.rss[kAnonPart];
  if (base == nullptr) {
    sums.joined_anon += rss;
    sums.joined_rest += look.total() - rss;
    return;
  }
  const MemberRead& read = base->read;
  const double own_anon = std::min(read.uss, read.anon - sharedAnon(read));
  sums.uss += read.uss;
  sums.own_rest += read.uss - own_anon;
  sums.own += positive(read.uss + std::min(0.0, rss - read.anon));
  // A page that came back may have been another process's own, and may have replaced one of its
  // own.
  if (canHaveSwapped(look)) sums.joined_anon += 2 * std::min(rss, faultsSince(look, base));
}

GroupEstimate::Sums GroupEstimate::sum() const {
  Sums sums;
  for (const MemberLook& look : now_.members) {
    const Member* base = baseOf(look.id);
    addAnon(look, base, sums);
    addFile(look, base, sums);
    addShmem(look, base, sums);
    addUss(look, base, sums);
    sums.peaks += traces_.at(look.id).peak_rss;
    sums.unseen += traces_.at(look.id).unseen;
    sums.unseen_own += traces_.at(look.id).unseen_own;
    sums.fault_bytes += faultsSince(look, base);
    sums.members++;
  }
  return sums;
}

Bounds GroupEstimate::boundsOf(uint64_t id) const {
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return {};
  const MemberLook* look = found->second;
  const Member* base = baseOf(id);
  double rss = 0;
  for (const double part : look->rss) rss += part;
  Sums sums;
  addAnon(*look, base, sums);
  addFile(*look, base, sums);
  addShmem(*look, base, sums);
  addUss(*look, base, sums);
  const double value = sums.value[kAnonPart] + sums.value[kFilePart] + sums.value[kShmemPart];
  // Other processes may drop shared pages, or begin to share its own.
  const double high = rss + rules_.counter_noise_bytes;
  return {std::min(positive(sums.own - sums.own_rest - rules_.counter_noise_bytes), high),
          std::min(value, high), high};
}

}  // namespace memdrift
