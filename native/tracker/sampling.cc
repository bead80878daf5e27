// SPDX-License-Identifier: MIT
#include "tracker/sampling.h"

#include <sys/mman.h>

#include <cmath>

#include "capture/own_mappings.h"
#include "errors.h"

namespace memdrift {

namespace {

template <typename Item>
Item* zeros(size_t count) {
  void* pages = OwnMappings::map(count * sizeof(Item));
  if (pages == MAP_FAILED) throw Error::fromErrno("mmap", "the table of sampled blocks");
  return static_cast<Item*>(pages);
}

}  // namespace

uint64_t SampleClock::weightOf(uint64_t bytes, uint64_t mean_bytes) noexcept {
  const auto size = static_cast<double>(bytes);
  // The chance that a block of this size has a sampled byte in it.
  const double chance = -std::expm1(-size / static_cast<double>(mean_bytes));
  return chance > 0 ? static_cast<uint64_t>(size / chance + 0.5) : mean_bytes;
}

int64_t SampleClock::next(uint64_t mean_bytes) noexcept {
  state_ ^= state_ << 13;
  state_ ^= state_ >> 7;
  state_ ^= state_ << 17;
  const double uniform = static_cast<double>((state_ >> 11) + 1) * 0x1p-53;
  // Not log(): its version is newer than the oldest system's.
  return static_cast<int64_t>(-std::log1p(uniform - 1) * static_cast<double>(mean_bytes)) + 1;
}

SampledBlocks::SampledBlocks()
    : filter_(zeros<std::atomic<uint16_t>>(size_t{1} << kFilterBits)),
      addresses_(zeros<std::atomic<uintptr_t>>(kPlaces)) {}

SampledBlocks::~SampledBlocks() {
  OwnMappings::unmap(filter_, (size_t{1} << kFilterBits) * sizeof *filter_);
  OwnMappings::unmap(addresses_, kPlaces * sizeof *addresses_);
}

void SampledBlocks::clear() noexcept {
  madvise(filter_, (size_t{1} << kFilterBits) * sizeof *filter_, MADV_DONTNEED);
  madvise(addresses_, kPlaces * sizeof *addresses_, MADV_DONTNEED);
}

bool SampledBlocks::add(uintptr_t address) noexcept {
  // Before it is there: who looks in between sees one too many, and finds nothing.
  filter_[filterPlace(address)].fetch_add(1, std::memory_order_relaxed);
  for (size_t i = 0, at = home(address); i < kMostProbes; i++, at = (at + 1) % kPlaces) {
    uintptr_t seen = addresses_[at].load(std::memory_order_relaxed);
    if (seen > kRemoved) continue;
    if (addresses_[at].compare_exchange_strong(seen, address, std::memory_order_acq_rel))
      return true;
  }
  filter_[filterPlace(address)].fetch_sub(1, std::memory_order_relaxed);
  return false;
}

bool SampledBlocks::remove(uintptr_t address) noexcept {
  for (size_t i = 0, at = home(address); i < kMostProbes; i++, at = (at + 1) % kPlaces) {
    uintptr_t seen = addresses_[at].load(std::memory_order_acquire);
    if (seen == 0) return false;
    if (seen != address) continue;
    if (!addresses_[at].compare_exchange_strong(seen, kRemoved, std::memory_order_acq_rel))
      return false;
    filter_[filterPlace(address)].fetch_sub(1, std::memory_order_relaxed);
    return true;
  }
  return false;
}

}  // namespace memdrift
