// SPDX-License-Identifier: MIT
// The blocks that are allocated at one moment, by address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace memdrift {

struct LiveBlock {
  uint64_t address;  // 0: an empty place
  uint64_t bytes;
  uint32_t site;
  uint32_t ordinal = 0;  // among the allocations of its thread; 0 where nobody asks
};

// Open addressing without marks for what was removed: what comes behind moves up instead, so that
// a capture of any length needs the room of its largest moment only.
class BlockMap {
 public:
  BlockMap() : places_(kFirstPlaces), mask_(kFirstPlaces - 1) {}

  LiveBlock* find(uint64_t address) noexcept {
    if (address == 0) return nullptr;  // what marks empty places
    for (size_t at = home(address);; at = (at + 1) & mask_) {
      if (places_[at].address == address) return &places_[at];
      if (places_[at].address == 0) return nullptr;
    }
  }
  // Where the block is, or where it belongs: empty then, and to be filled by put(), or left.
  LiveBlock& placeOf(uint64_t address) {
    if ((count_ + 1) * 4 > places_.size() * 3) grow();
    size_t at = home(address);
    while (places_[at].address != 0 && places_[at].address != address) at = (at + 1) & mask_;
    return places_[at];
  }
  void put(LiveBlock& place, const LiveBlock& block) noexcept {
    count_++;
    place = block;
  }
  // Into the processor's cache.
  void fetch(uint64_t address) const noexcept { __builtin_prefetch(&places_[home(address)]); }
  void remove(LiveBlock* block) noexcept {
    count_--;
    size_t hole = static_cast<size_t>(block - places_.data());
    for (size_t at = (hole + 1) & mask_; places_[at].address != 0; at = (at + 1) & mask_) {
      // It may move up to the hole if that is not before its home.
      if (((at - home(places_[at].address)) & mask_) < ((at - hole) & mask_)) continue;
      places_[hole] = places_[at];
      hole = at;
    }
    places_[hole].address = 0;
  }
  size_t count() const noexcept { return count_; }

  template <typename Callback>
  void forEach(Callback&& callback) const {
    for (const LiveBlock& block : places_)
      if (block.address != 0) callback(block);
  }

 private:
  static constexpr size_t kFirstPlaces = 1 << 12;

  size_t home(uint64_t address) const noexcept {
    return (address >> 4) * 0x9e3779b97f4a7c15U >> 20 & mask_;
  }
  void grow() {
    std::vector<LiveBlock> before(places_.size() * 2);
    before.swap(places_);
    mask_ = places_.size() - 1;
    for (const LiveBlock& block : before) {
      if (block.address == 0) continue;
      size_t at = home(block.address);
      while (places_[at].address != 0) at = (at + 1) & mask_;
      places_[at] = block;
    }
  }

  std::vector<LiveBlock> places_;
  size_t mask_;
  size_t count_ = 0;
};

}  // namespace memdrift
