// SPDX-License-Identifier: MIT
#include "test/memory_model.h"

#include <algorithm>

namespace memdrift {

namespace {

constexpr size_t kFilePages = 64;
constexpr size_t kMostProcesses = 9;
constexpr size_t kMostAnon = 2000;

}  // namespace

MemoryModel::MemoryModel(uint64_t seed) : random_(seed) {
  using Kind = File::Kind;
  for (const Kind kind : {Kind::kDisk, Kind::kDisk, Kind::kSegment, Kind::kSegment, Kind::kOther}) {
    const size_t size = kind == Kind::kDisk ? kFilePages / 2 : 4 * kFilePages;
    files_.push_back({kind, std::vector<uint32_t>(size), std::vector<uint32_t>(size),
                      std::vector<bool>(size, kind == Kind::kDisk)});
  }
  swaps_ = random(4) == 0;
  has_huge_ = random(2) == 0;
  for (const bool is_inside : {true, false}) {
    Process process{};
    process.id = next_id_++;
    process.pid = next_pid_++;
    process.parent_pid = 1;
    process.is_inside = is_inside;
    for (const File& file : files_) process.files.emplace_back(file.inside.size());
    processes_.push_back(std::move(process));
  }
  for (int i = 0; i < 20; i++) touch(processes_[0]);
  for (int i = 0; i < 4; i++) fillSegment();
}

size_t MemoryModel::newPage() {
  if (free_pages_.empty()) {
    pages_.emplace_back();
    free_pages_.push_back(pages_.size() - 1);
  }
  const size_t page = free_pages_.back();
  free_pages_.pop_back();
  pages_[page] = {1, 1, false};
  return page;
}

void MemoryModel::dropAnon(Process& process, size_t at) {
  AnonPage& page = pages_[process.anon[at]];
  page.mapped--;
  if (--page.holders == 0) free_pages_.push_back(process.anon[at]);
  process.anon[at] = process.anon.back();
  process.anon.pop_back();
}

void MemoryModel::dropSwapped(Process& process, size_t at) {
  if (--pages_[process.swapped[at]].holders == 0) free_pages_.push_back(process.swapped[at]);
  process.swapped[at] = process.swapped.back();
  process.swapped.pop_back();
}

void MemoryModel::dropFilePage(Process& process, size_t file, size_t page) {
  if (!process.files[file][page]) return;
  process.files[file][page] = false;
  (process.is_inside ? files_[file].inside : files_[file].outside)[page]--;
}

void MemoryModel::dropAll(Process& process) {
  while (!process.anon.empty()) dropAnon(process, process.anon.size() - 1);
  while (!process.swapped.empty()) dropSwapped(process, process.swapped.size() - 1);
  for (size_t file = 0; file < files_.size(); file++)
    for (size_t page = 0; page < files_[file].inside.size(); page++)
      dropFilePage(process, file, page);
}

void MemoryModel::mapFilePage(Process& process, size_t file, size_t page) {
  if (process.files[file][page]) return;
  process.files[file][page] = true;
  (process.is_inside ? files_[file].inside : files_[file].outside)[page]++;
}

void MemoryModel::countFault(Process& process) {
  process.faults++;
  faults_++;
}

MemoryModel::Process* MemoryModel::anyInside() {
  for (size_t i = 0; i < 20; i++) {
    Process& process = processes_[random(processes_.size())];
    if (process.is_inside) return &process;
  }
  return nullptr;
}

void MemoryModel::touch(Process& process) {
  for (size_t i = 1 + random(30); i > 0 && process.anon.size() < kMostAnon; i--) {
    process.anon.push_back(newPage());
    countFault(process);
  }
}

void MemoryModel::countHugeFault(Process& process) {
  countFault(process);
  huge_pages_++;
  faulted_huge_pages_++;
}

void MemoryModel::touchHuge(Process& process) {
  countHugeFault(process);
  for (size_t i = 0; i < kHugePages; i++) process.anon.push_back(newPage());
}

// As the kernel copies on write: what another process holds too is left to it.
void MemoryModel::write(Process& process) {
  const size_t wanted = random(4) == 0 ? 200 : random(30);
  for (size_t i = 0; i < std::min(wanted, process.anon.size()); i++) {
    const size_t at = random(process.anon.size());
    if (pages_[process.anon[at]].holders == 1) continue;
    dropAnon(process, at);
    process.anon.push_back(newPage());
    countFault(process);
  }
}

void MemoryModel::unmap(Process& process) {
  const size_t wanted = random(6) == 0 ? process.anon.size() : random(40);
  for (size_t i = 0; i < wanted && !process.anon.empty(); i++)
    dropAnon(process, random(process.anon.size()));
  if (!process.swapped.empty() && random(2) == 0) dropSwapped(process, 0);
}

void MemoryModel::fork(size_t parent) {
  if (processes_.size() >= kMostProcesses) return;
  Process child = processes_[parent];
  child.id = next_id_++;
  child.pid = next_pid_++;
  child.parent_pid = processes_[parent].pid;
  child.faults = 0;
  child.was_seen = false;
  unseen_pids_++;
  for (const size_t page : child.anon) {
    pages_[page].holders++;
    pages_[page].mapped++;
  }
  for (const size_t page : child.swapped) pages_[page].holders++;
  // Page tables of files are copied only where there are copied pages too.
  const bool copies = random(3) == 0;
  for (size_t file = 0; file < files_.size(); file++) {
    const auto mapped = child.files[file];
    child.files[file].assign(mapped.size(), false);
    if (!copies || files_[file].kind != File::Kind::kDisk) continue;
    for (size_t page = 0; page < mapped.size(); page++)
      if (mapped[page]) mapFilePage(child, file, page);
  }
  child.most_rss = rssOf(child);
  processes_.push_back(std::move(child));
}

void MemoryModel::exec(Process& process) {
  has_ended_ = true;  // as a program
  dropAll(process);
  process.most_rss = 0;
  touch(process);
  touchFile(process);
}

void MemoryModel::exit(size_t at) {
  Process& process = processes_[at];
  for (Process& child : processes_)
    if (child.parent_pid == process.pid) child.parent_pid = processes_[0].pid;
  if (process.is_inside && !process.was_seen) early_ends_++;
  if (process.is_inside) has_ended_ = true;
  dropAll(process);
  processes_.erase(processes_.begin() + static_cast<std::ptrdiff_t>(at));
}

void MemoryModel::touchFile(Process& process) {
  const size_t file = random(files_.size());
  // No process outside can open what has no name.
  if (!process.is_inside && files_[file].kind == File::Kind::kOther) return;
  const size_t size = files_[file].inside.size();
  for (size_t i = 1 + random(12); i > 0; i--) {
    const size_t page = random(size);
    if (!files_[file].exists[page] || process.files[file][page]) continue;
    countFault(process);
    const size_t from = page / kAround * kAround;
    for (size_t near = from; near < std::min(size, from + kAround); near++)
      if (files_[file].exists[near] && (near == page || random(4) > 0))
        mapFilePage(process, file, near);
  }
}

void MemoryModel::unmapFile(Process& process) {
  has_ended_ = true;  // of what was mapped and unmapped between two looks no look has all
  const size_t file = random(files_.size());
  const size_t size = files_[file].inside.size(), from = random(size);
  for (size_t page = from; page < std::min(size, from + random(60)); page++)
    dropFilePage(process, file, page);
}

// Pages come to a segment, whoever writes them, and go only as a whole.
void MemoryModel::fillSegment() {
  const size_t file = 2 + random(3);
  File& segment = files_[file];
  const size_t from = random(segment.exists.size());
  for (size_t page = from; page < std::min(segment.exists.size(), from + random(60)); page++)
    segment.exists[page] = true;
}

void MemoryModel::swapOut(Process& process) {
  for (size_t i = random(20); i > 0 && !process.anon.empty(); i--) {
    const size_t victim = process.anon[random(process.anon.size())];
    pages_[victim].in_swap = true;
    pages_[victim].mapped = 0;
    swapped_out_++;
    for (Process& holder : processes_) {
      const auto gone = std::remove(holder.anon.begin(), holder.anon.end(), victim);
      holder.swapped.insert(holder.swapped.end(), static_cast<size_t>(holder.anon.end() - gone),
                            victim);
      holder.anon.erase(gone, holder.anon.end());
    }
  }
}

// The same page again, or a copy of it.
void MemoryModel::swapIn(Process& process) {
  for (size_t i = random(20); i > 0 && !process.swapped.empty(); i--) {
    const size_t at = random(process.swapped.size()), page = process.swapped[at];
    countFault(process);
    if (pages_[page].holders > 1 && random(2) == 0) {
      dropSwapped(process, at);
      process.anon.push_back(newPage());
      continue;
    }
    pages_[page].in_swap = false;
    pages_[page].mapped++;
    process.swapped.erase(process.swapped.begin() + static_cast<std::ptrdiff_t>(at));
    process.anon.push_back(page);
  }
}

// khugepaged copies what is shared too, without a fault of the process.
void MemoryModel::collapse(Process& process) {
  huge_pages_++;
  for (size_t i = 0; i < std::min(kHugePages, process.anon.size()); i++) {
    const size_t at = random(process.anon.size());
    dropAnon(process, at);
    process.anon.push_back(newPage());
  }
}

void MemoryModel::actInside() {
  Process* process = anyInside();
  if (process == nullptr) return;
  const size_t at = static_cast<size_t>(process - processes_.data());
  switch (random(24)) {
    case 0:
      return fork(at);
    case 1:
      return at > 0 && random(3) > 0 ? exit(at) : void();
    case 2:
      return at > 0 && random(3) == 0 ? exec(*process) : void();
    case 3:
      return has_huge_ ? touchHuge(*process) : touch(*process);
    case 4:
      return has_huge_ ? collapse(*process) : void();
    case 5:
      return swaps_ ? swapOut(*process) : void();
    case 6:
    case 7:
      return swaps_ ? swapIn(*process) : write(*process);
    case 8:
    case 9:
      return unmapFile(*process);
    case 10:
    case 11:
      return unmap(*process);
    case 12:
      return fillSegment();
    case 13:
    case 14:
    case 15:
      return touchFile(*process);
    case 16:
    case 17:
    case 18:
    case 19:
      return write(*process);
    default:
      return touch(*process);
  }
}

// Processes outside map the same files; they come and go.
void MemoryModel::actOutside() {
  const size_t at = random(processes_.size());
  if (processes_[at].is_inside) return;
  // Anonymous memory of processes outside is of no concern, except that the system counts it.
  if (has_huge_ && random(8) == 0) return countHugeFault(processes_[at]);
  if (random(3) > 0) return touchFile(processes_[at]);
  unmapFile(processes_[at]);
}

void MemoryModel::step(bool is_calm) {
  at_ms_++;
  if (random(12) == 0) actOutside();
  if (!is_calm) actInside();
  note();
}

void MemoryModel::note() {
  highest_pss_ = std::max(highest_pss_, pssBytes());
  highest_footprint_ = std::max(highest_footprint_, footprintBytes());
  for (Process& process : processes_) process.most_rss = std::max(process.most_rss, rssOf(process));
}

}  // namespace memdrift
