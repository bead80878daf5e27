// SPDX-License-Identifier: MIT
#include "proc/group_estimate.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "proc/group_sums.h"

namespace memdrift {

GroupEstimate::Trace GroupEstimate::traceOf(const MemberLook& look) const {
  Trace now;
  now.rss = look.total();
  now.anon = look.rss[kAnonPart];
  now.file = look.rss[kFilePart];
  now.peak_rss = now.most_rss = std::max(now.rss, look.peak_rss);
  now.fault_bytes = look.fault_bytes;
  now.has_swapped = look.swap > 0;
  const auto found = traces_.find(look.id);
  const bool is_new = found == traces_.end();
  const Trace& before = is_new ? now : found->second;
  const double faults_before = is_new ? 0 : before.fault_bytes;
  const double faulted = knownOr(positive(look.fault_bytes - faults_before), kInfinite);
  // A high-water mark that rose was reached. Reaching an older one again takes faults. A mark that
  // fell belongs to another program, which the process runs now.
  const double mark = std::max(now.peak_rss, is_new ? 0 : before.most_rss);
  const bool rose = is_new || now.peak_rss > before.peak_rss;
  const double pages = std::max(rules_.anon_pages_per_fault, rules_.file_pages_per_fault);
  const double most = rose ? now.peak_rss : std::min(mark, before.rss + pages * faulted);
  now.unseen = positive(most - now.rss);
  // Its shared memory can have been smaller then, and the rest larger.
  const double made = rules_.anon_pages_per_fault * faulted;
  now.unseen_own =
      positive(std::min(mostMade(look, mark) - now.anon, before.anon - now.anon + made)) +
      positive(before.file - now.file);
  // Its parent may have ended since the look before, and another member adopted it.
  if (is_new) now.first_parent = have_ended_ ? 0 : look.parent_pid;
  if (!has_looked_) now.unseen = now.unseen_own = 0;
  if (is_new) return now;
  now.first_parent = before.first_parent;
  now.most_rss = mark;
  now.has_swapped |= before.has_swapped;
  return now;
}

void GroupEstimate::look(GroupLook look) {
  huge_between_ = knownOr(positive(look.system.huge_bytes - now_.system.huge_bytes), kInfinite);
  if (has_looked_) {
    const GroupBounds before = bounds();
    high_before_ = before.pss.high;
    footprint_before_ = before.footprint.high;
  }
  caps_before_ = capsNow();
  system_before_ = now_.system;
  now_ = std::move(look);
  size_t remaining = 0;
  for (const MemberLook& one : now_.members) remaining += traces_.contains(one.id);
  have_ended_ = remaining < traces_.size();
  by_pid_.clear();
  by_id_.clear();
  forked_.clear();
  std::unordered_map<uint64_t, Trace> traces;
  for (const MemberLook& one : now_.members)
    if (!base_.members.contains(one.id)) forked_.insert(one.parent_pid);
  for (const MemberLook& one : now_.members) {
    by_pid_[one.pid] = &one;
    by_id_[one.id] = &one;
    traces.emplace(one.id, traceOf(one));
  }
  traces_ = std::move(traces);
  has_looked_ = true;
  huge_bytes_ = mostHuge();
  if (pass_) followPass();
}

// Returns the most that a new process can have inherited from its parent, even where it has run
// another program since.
double GroupEstimate::mostShared(const MemberLook& look) const {
  const auto parent = by_pid_.find(traces_.at(look.id).first_parent);
  return parent == by_pid_.end() ? kInfinite : traces_.at(parent->second->id).most_rss;
}

void GroupEstimate::followPass() {
  for (const MemberLook& one : now_.members) {
    const auto found = pass_->members.find(one.id);
    if (found == pass_->members.end()) {
      if (pass_->born.insert(one.id).second) pass_->passing_bytes += mostShared(one);
    } else if (found->second.is_read && !found->second.is_settled) {
      found->second.after = one;
      found->second.is_settled = true;
    }
  }
  for (auto& [id, member] : pass_->members) {
    if (member.has_ended || traces_.contains(id)) continue;
    member.has_ended = true;
    if (!member.is_read) pass_->passing_bytes += member.start.rss[kAnonPart];
  }
}

void GroupEstimate::beginPass() {
  pass_.emplace(Pass());  // clang refuses emplace() of a nested type with initializers
  pass_->at_ms = now_.at_ms;
  pass_->system = now_.system;
  pass_->early_ends = now_.early_ends;
  pass_->unseen_pids = now_.unseen_pids;
  for (const MemberLook& one : now_.members) pass_->members[one.id].start = one;
}

void GroupEstimate::read(uint64_t id, const MemberRead& read) {
  if (!pass_) return;
  const auto found = pass_->members.find(id);
  if (found == pass_->members.end()) return;
  found->second.read = read;
  found->second.is_read = true;
}

namespace {

// Returns the bytes of all extents, overlaps counted once.
double unionOf(std::vector<FileExtent>& extents) {
  const auto key = [](const FileExtent& one) {
    return std::tuple(one.device, one.inode, one.start);
  };
  std::sort(extents.begin(), extents.end(),
            [&](const FileExtent& a, const FileExtent& b) { return key(a) < key(b); });
  double sum = 0;
  const FileExtent* before = nullptr;
  uint64_t end = 0;
  for (const FileExtent& one : extents) {
    const bool is_same =
        before != nullptr && before->device == one.device && before->inode == one.inode;
    const uint64_t from = is_same ? std::max(one.start, end) : one.start;
    if (one.end > from) sum += static_cast<double>(one.end - from);
    end = is_same ? std::max(end, one.end) : one.end;
    before = &one;
  }
  return sum;
}

}  // namespace

void GroupEstimate::endPass() {
  if (!pass_) return;
  const bool saw_all = pass_->unseen_pids && pass_->unseen_pids == now_.unseen_pids;
  pass_->is_doubtful = !saw_all && pass_->early_ends != now_.early_ends;
  // For a member that ended between its read and a look, the start of the pass is the last known
  // state.
  for (auto& [id, member] : pass_->members) {
    if (!member.is_read) continue;
    if (!member.is_settled) {
      member.after = member.start;
      pass_->passing_bytes += member.start.rss[kAnonPart];
    }
    const double faulted = rules_.anon_pages_per_fault *
                           knownOr(member.after.fault_bytes - member.start.fault_bytes, kInfinite);
    pass_->passing_bytes +=
        positive(positive(faulted) - (member.read.anon - member.start.rss[kAnonPart]));
  }
  std::vector<FileExtent> extents, files;
  bool knows_files = true;
  for (auto& [id, member] : pass_->members) {
    if (!member.is_read) continue;
    knows_files = knows_files && member.read.files;
    if (member.read.files)
      extents.insert(extents.end(), member.read.files->begin(), member.read.files->end());
    member.read.files.reset();
  }
  std::copy_if(extents.begin(), extents.end(), std::back_inserter(files),
               [](const FileExtent& one) { return !one.is_shared_memory; });
  if (knows_files) pass_->file_bytes = unionOf(files);
  // Shared memory of a file system that is not known for it may be among the files.
  if (knows_files) pass_->mapped_bytes = unionOf(extents);
  base_ = std::move(*pass_);
  pass_.reset();
  huge_bytes_ = mostHuge();
  forked_.clear();
  for (const MemberLook& one : now_.members)
    if (!base_.members.contains(one.id)) forked_.insert(one.parent_pid);
}

const GroupEstimate::Member* GroupEstimate::baseOf(uint64_t id) const {
  const auto found = base_.members.find(id);
  return found == base_.members.end() || !found->second.is_read ? nullptr : &found->second;
}

// Returns the shares of members that have ended since the pass: their own pages are gone, and other
// members now have the pages that they shared.
double GroupEstimate::departedBytes() const {
  double sum = 0;
  for (const auto& [id, member] : base_.members)
    if (member.is_read && !traces_.contains(id))
      sum += std::min(member.read.pss[kAnonPart], missingAnon(member.read));
  return sum;
}

// Returns the most that processes outside can have mapped of files since the pass.
double GroupEstimate::outsideFaults(double group_fault_bytes) const {
  const double all = now_.system.fault_bytes - base_.system.fault_bytes;
  const double huge = (now_.system.huge_bytes - now_.system.faulted_huge_bytes) -
                      (base_.system.huge_bytes - base_.system.faulted_huge_bytes);
  const double outside = positive(all - group_fault_bytes) * rules_.file_pages_per_fault + huge;
  return knownOr(outside, kInfinite);
}

// Huge pages that were faulted in are the group's only as far as it had faults; khugepaged
// collapses pages without one.
double GroupEstimate::mostHuge() const {
  const double all = now_.system.huge_bytes - base_.system.huge_bytes;
  const double faulted = now_.system.faulted_huge_bytes - base_.system.faulted_huge_bytes;
  double group_faults = 0;
  for (const MemberLook& look : now_.members) group_faults += faultsSince(look, baseOf(look.id));
  return knownOr(
      positive(all - faulted) + std::min(faulted, rules_.pages_of_huge_page * group_faults),
      kInfinite);
}

double GroupEstimate::anonHigh(const Sums& sums) const {
  const double missing = sums.missing[kAnonPart];
  const double unknown = base_.is_doubtful || !rules_.is_closed ? missing : 0;
  const double regained = departedBytes() + base_.passing_bytes + huge_bytes_ + unknown;
  return std::min(positive(sums.high[kAnonPart]) + std::min(missing, regained) +
                      std::min(huge_bytes_, sums.spare),
                  sums.rss[kAnonPart]);
}

Bounds GroupEstimate::anonBounds(const Sums& sums) const {
  const double open = rules_.is_closed ? 0 : std::min(sums.missing[kAnonPart], sums.pss[kAnonPart]);
  return {positive(sums.low[kAnonPart] - open), sums.value[kAnonPart], anonHigh(sums)};
}

// Old pages are among those that members mapped at the pass.
double GroupEstimate::oldMost(MemoryPart part) const {
  return knownOr(part == kFilePart ? base_.file_bytes : base_.mapped_bytes, kInfinite);
}

// Returns how much the group's share can have fallen since the pass, of pages that processes
// outside can map: a page that one more process maps loses at most half.
double GroupEstimate::lostOf(double open_bytes, const Sums& sums) const {
  return std::min(open_bytes, outsideFaults(sums.fault_bytes) / 2) + sums.joined;
}

// Returns bounds of the group's mapped pages of files, or of shared memory.
Bounds GroupEstimate::mappedBounds(const Sums& sums, MemoryPart part, const Caps& caps) const {
  const double closed = part == kShmemPart ? sums.closed_low : 0;
  const double lost = lostOf(sums.low[part] - closed, sums);
  const double grown = std::min(sums.pss[part] + sums.missing[part], oldMost(part)) +
                       sums.high[part] - sums.pss[part] + std::min(huge_bytes_, sums.spare);
  const double most = part == kShmemPart ? std::min(caps.mapped, caps.shmem) : caps.mapped;
  return {positive(sums.low[part] - lost), sums.value[part],
          std::min({grown, sums.rss[part], most})};
}

// Bounds shared memory of unknown files, which counts by its mapped pages.
Bounds GroupEstimate::otherShmemBounds(const Sums& sums, const Caps& caps) const {
  const double lost = lostOf(sums.other_low - std::min(sums.other_low, sums.closed_low), sums);
  const double grown = sums.other_high + std::min(huge_bytes_, sums.spare);
  const double high = std::min({grown, sums.rss[kShmemPart], caps.other_shmem});
  return {positive(sums.other_low - lost), sums.other_value,
          high + std::min(now_.nameless_bytes, sums.rss[kShmemPart])};
}

GroupEstimate::Caps GroupEstimate::capsNow() const {
  const SystemLook& system = now_.system;
  const double shmem = knownOr(system.shmem_bytes, kInfinite);
  // The files' sizes include swapped pages; the system's counter does not.
  const double known = system.swapped_bytes == 0 ? now_.segment_bytes : 0;
  return {knownOr(system.mapped_bytes, kInfinite), shmem, positive(shmem - known), true};
}

// No counter shows shared memory that is made and removed between two looks.
GroupEstimate::Caps GroupEstimate::capsBetween() const {
  const double mapped =
      system_before_.mapped_bytes + huge_between_ +
      rules_.file_pages_per_fault * (now_.system.fault_bytes - system_before_.fault_bytes);
  const Caps now = capsNow();
  return {knownOr(mapped, kInfinite), std::max(now.shmem, caps_before_.shmem),
          std::max(now.other_shmem, caps_before_.other_shmem), false};
}

GroupEstimate::Whole GroupEstimate::wholeOf(const Sums& sums, const Caps& caps) const {
  Whole whole{anonBounds(sums), mappedBounds(sums, kFilePart, caps),
              mappedBounds(sums, kShmemPart, caps), otherShmemBounds(sums, caps)};
  // The system's counter of mapped pages counts pages of both, each page once.
  if (caps.are_of_now)
    whole.file.high = std::min(whole.file.high, positive(caps.mapped - whole.shmem.low));
  for (double* bound : {&whole.known.low, &whole.known.value, &whole.known.high})
    *bound += now_.segment_bytes;
  return whole;
}

GroupBounds GroupEstimate::bounds() const {
  const Sums sums = sum();
  const double noise = rules_.counter_noise_bytes * static_cast<double>(sums.members);
  const auto total = [noise](const Bounds& a, const Bounds& b, const Bounds& c) {
    const double low = positive(a.low + b.low + c.low - noise);
    const double high = a.high + b.high + c.high + noise;
    return Bounds{low, std::clamp(a.value + b.value + c.value, low, std::max(low, high)),
                  std::max(low, high)};
  };
  Whole now = wholeOf(sums, capsNow());
  // A member that mapped more since has at least these pages, unless it mapped some twice.
  now.shmem.value = std::min(now.shmem.high, std::max(now.shmem.value, sums.largest_shmem));
  GroupBounds result;
  result.read_at_ms = base_.at_ms;
  result.pss_parts = {now.anon, now.file, now.shmem};
  result.pss = total(now.anon, now.file, now.shmem);
  result.footprint = total(now.anon, now.file, now.known);
  const double lost = sums.gone + sums.joined + sums.joined_rest + outsideFaults(sums.fault_bytes);
  const double own = positive(sums.own - sums.joined_anon - std::min(sums.own_rest, lost));
  result.uss = total({own, sums.uss, result.pss.high}, {}, {});

  Whole between = wholeOf(sums, capsBetween());
  between.shmem.high = std::min(
      {between.shmem.high + sums.unseen, capsBetween().shmem, sums.rss[kShmemPart] + sums.unseen});
  const double unseen = sums.unseen_own + std::min(huge_between_, sums.peaks);
  result.pss_between =
      std::max(high_before_, total(between.anon, between.file, between.shmem).high + unseen);
  result.footprint_between =
      std::max(footprint_before_, total(between.anon, between.file, between.known).high + unseen);
  return result;
}

}  // namespace memdrift
