// SPDX-License-Identifier: MIT
// How a store gives the pages of free room back to the system.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>

#include "errors.h"
#include "shm/store.h"

namespace memdrift {

namespace {

// While the pages of a piece go, nobody can be given room in it: 13 ms at the most.
constexpr uint64_t kMaxPieceBytes = uint64_t{64} << 20;
// Pieces of less would cost more in looking at the table than in pages.
constexpr uint64_t kMinPieceBytes = uint64_t{4} << 20;

}  // namespace

uint64_t Store::giveBack(uint64_t keep_bytes, uint64_t lock_timeout_us) {
  requireClient();
  uint64_t given_bytes = 0;
  uint64_t below_bytes = table_.capacityBytes();
  while (const auto piece = claimFreePiece(keep_bytes, below_bytes, lock_timeout_us)) {
    below_bytes = piece->extent.offset_bytes;
    const uint64_t before = segment_->residentBytes();
    try {
      punch(piece->extent);
    } catch (...) {
      table_.release(*piece);
      throw;
    }
    const uint64_t after = segment_->residentBytes();
    table_.release(*piece);
    given_bytes += before > after ? before - after : 0;
  }
  return given_bytes;
}

// Takes the highest free room below an offset as an object of its own state, so that nobody can be
// given a part of it; nothing if no more than `keep_bytes` of free room have pages.
//
// Which room has pages is not asked: neither SEEK_DATA nor mincore sees a page that was allocated
// and never written, and to punch where there is none costs a microsecond.
std::optional<ObjectCopy> Store::claimFreePiece(uint64_t keep_bytes, uint64_t below_bytes,
                                                uint64_t lock_timeout_us) {
  const StoreTable::Lock lock(table_, lock_timeout_us);
  const TableScan scan = table_.reclaim(lock, client_);
  const uint64_t kept_bytes = table_.tableBytes() + scan.used_bytes + keep_bytes;
  const uint64_t resident_bytes = segment_->residentBytes();
  if (resident_bytes <= kept_bytes) return std::nullopt;
  const std::vector<Extent> gaps = gapsBetween(scan.used, table_.capacityBytes());
  const auto top = std::find_if(gaps.rbegin(), gaps.rend(),
                                [&](const Extent& gap) { return gap.offset_bytes < below_bytes; });
  if (top == gaps.rend()) return std::nullopt;
  const uint64_t end = std::min(below_bytes, top->offset_bytes + top->extent_bytes);
  const uint64_t wanted_bytes =
      std::clamp(resident_bytes - kept_bytes, kMinPieceBytes, kMaxPieceBytes);
  const uint64_t piece_bytes =
      std::min((wanted_bytes + kPageBytes - 1) / kPageBytes * kPageBytes, end - top->offset_bytes);
  return table_.claim(
      lock, scan, {ObjectState::kPunching, 0, {end - piece_bytes, piece_bytes}, client_, "", {}});
}

void Store::punch(const Extent& extent) {
  crashPoint();
  int result;
  do {
    result = fallocate(segment_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                       static_cast<off_t>(kArenaOffset + extent.offset_bytes),
                       static_cast<off_t>(extent.extent_bytes));
  } while (result != 0 && errno == EINTR);
  if (result != 0) throw Error::fromErrno("fallocate(PUNCH_HOLE)", segment_->path());
}

}  // namespace memdrift
