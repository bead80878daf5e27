// SPDX-License-Identifier: MIT
// Computes the figures that the model's kernel reports, and the true ones.
#include <algorithm>

#include "test/memory_model.h"

namespace memdrift {

namespace {

constexpr uint64_t kPage = static_cast<uint64_t>(MemoryModel::kPageBytes);

}  // namespace

double MemoryModel::filePagesOf(const Process& process, File::Kind kind) const {
  double sum = 0;
  for (size_t file = 0; file < files_.size(); file++)
    if (files_[file].kind == kind)
      for (const bool is_mapped : process.files[file]) sum += is_mapped;
  return sum;
}

double MemoryModel::rssOf(const Process& process) const {
  return static_cast<double>(process.anon.size()) + filePagesOf(process, File::Kind::kDisk) +
         filePagesOf(process, File::Kind::kSegment) + filePagesOf(process, File::Kind::kOther);
}

GroupLook MemoryModel::look() {
  GroupLook look;
  look.at_ms = at_ms_;
  double mapped = 0, shmem = 0;
  for (const File& file : files_)
    for (size_t page = 0; page < file.inside.size(); page++) {
      mapped += file.inside[page] + file.outside[page] > 0;
      shmem += file.kind != File::Kind::kDisk && file.exists[page];
    }
  look.system.huge_bytes = huge_pages_ * kHugePages * kPageBytes;
  look.system.faulted_huge_bytes = faulted_huge_pages_ * kHugePages * kPageBytes;
  look.system.fault_bytes = faults_ * kPageBytes;
  look.system.shmem_bytes = shmem * kPageBytes;
  look.system.swapped_bytes = swapped_out_ * kPageBytes;
  look.system.mapped_bytes = mapped * kPageBytes;
  look.segment_bytes = segmentBytes();
  look.early_ends = early_ends_;
  for (Process& process : processes_) {
    if (!process.is_inside) continue;
    if (!process.was_seen) unseen_pids_--;
    process.was_seen = true;
    look.members.push_back(lookAt(process));
  }
  look.unseen_pids = unseen_pids_;
  highest_pss_ = highest_footprint_ = 0;
  has_ended_ = false;
  note();
  return look;
}

MemberLook MemoryModel::lookAt(const Process& process) const {
  MemberLook look;
  look.id = process.id;
  look.pid = process.pid;
  look.parent_pid = process.parent_pid;
  const double shmem =
      filePagesOf(process, File::Kind::kSegment) + filePagesOf(process, File::Kind::kOther);
  look.rss = {static_cast<double>(process.anon.size()) * kPageBytes,
              filePagesOf(process, File::Kind::kDisk) * kPageBytes, shmem * kPageBytes};
  look.swap = static_cast<double>(process.swapped.size()) * kPageBytes;
  look.fault_bytes = process.faults * kPageBytes;
  look.peak_rss = std::max(process.most_rss, rssOf(process)) * kPageBytes;
  return look;
}

std::optional<MemberRead> MemoryModel::read(uint64_t id) const {
  const auto found = std::find_if(processes_.begin(), processes_.end(),
                                  [id](const Process& one) { return one.id == id; });
  if (found == processes_.end() || !found->is_inside) return std::nullopt;
  MemberRead read;
  read.rss = rssOf(*found) * kPageBytes;
  read.anon = static_cast<double>(found->anon.size()) * kPageBytes;
  for (const size_t page : found->anon) {
    read.pss[kAnonPart] += kPageBytes / pages_[page].mapped;
    if (pages_[page].mapped == 1) read.uss += kPageBytes;
  }
  read.files.emplace();
  for (size_t file = 0; file < files_.size(); file++) {
    const auto kind = files_[file].kind;
    const auto& mapped = found->files[file];
    const auto first = std::find(mapped.begin(), mapped.end(), true);
    const auto last = std::find(mapped.rbegin(), mapped.rend(), true);
    if (first != mapped.end())
      read.files->push_back({1, file, static_cast<uint64_t>(first - mapped.begin()) * kPage,
                             static_cast<uint64_t>(mapped.rend() - last) * kPage,
                             kind != File::Kind::kDisk});
    for (size_t page = 0; page < files_[file].inside.size(); page++) {
      if (!found->files[file][page]) continue;
      const uint32_t holders = files_[file].inside[page] + files_[file].outside[page];
      read.pss[kind == File::Kind::kDisk ? kFilePart : kShmemPart] += kPageBytes / holders;
      if (kind == File::Kind::kSegment) read.segment_pss += kPageBytes / holders;
      if (kind == File::Kind::kOther) read.closed_pss += kPageBytes / holders;
      if (holders == 1) read.uss += kPageBytes;
    }
  }
  return read;
}

double MemoryModel::mappedPss(File::Kind kind) const {
  double sum = 0;
  for (const File& file : files_) {
    if (file.kind != kind) continue;
    for (size_t page = 0; page < file.inside.size(); page++) {
      const double inside = file.inside[page];
      if (inside > 0) sum += inside / (inside + file.outside[page]);
    }
  }
  return sum * kPageBytes;
}

double MemoryModel::segmentBytes() const {
  double pages = 0;
  for (const File& file : files_)
    if (file.kind == File::Kind::kSegment)
      for (const bool exists : file.exists) pages += exists;
  return pages * kPageBytes;
}

MemoryParts MemoryModel::pssParts() const {
  double anon = 0;
  for (const AnonPage& page : pages_) anon += page.holders > 0 && page.mapped > 0;
  return {anon * kPageBytes, mappedPss(File::Kind::kDisk),
          mappedPss(File::Kind::kSegment) + mappedPss(File::Kind::kOther)};
}

double MemoryModel::pssBytes() const {
  const auto [anon, file, shmem] = pssParts();
  return anon + file + shmem;
}

double MemoryModel::footprintBytes() const {
  const auto [anon, file, shmem] = pssParts();
  return anon + file + mappedPss(File::Kind::kOther) + segmentBytes();
}

double MemoryModel::ussBytes() const {
  double sum = 0;
  for (const Process& process : processes_)
    if (process.is_inside) sum += read(process.id)->uss;
  return sum;
}

}  // namespace memdrift
