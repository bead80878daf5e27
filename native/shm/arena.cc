// SPDX-License-Identifier: MIT
#include "shm/arena.h"

#include <sys/mman.h>

#include <fstream>

#include "errors.h"
#include "shm/table.h"

namespace memdrift {

namespace {

// With vm.overcommit_memory=2 the kernel charges private mappings, MAP_NORESERVE or not: one of a
// whole arena, where it is not refused, would take from others what nobody will ever use.
bool isChargedInFull(Access access) {
  if (access == Access::kProducer) return false;
  std::ifstream policy("/proc/sys/vm/overcommit_memory");
  return policy.get() == '2';
}

}  // namespace

Arena::Arena(const ArenaRequest& request) : request_(request) {
  if (!request.whole || isChargedInFull(request.access)) return;
  try {
    whole_ = map(0, request.capacity_bytes);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::ERR_NO_MEMORY) throw;
  }
}

ArenaPart Arena::part(const Extent& extent) const {
  ArenaPart part;
  part.size_bytes = extent.extent_bytes;
  if (isWhole()) {
    part.bytes = whole_.data() + extent.offset_bytes;
  } else {
    part.own = std::make_shared<Mapping>(map(extent.offset_bytes, extent.extent_bytes));
    part.bytes = part.own->data();
  }
  return part;
}

Mapping Arena::map(uint64_t offset_bytes, uint64_t bytes) const {
  const int flags = request_.access == Access::kProducer ? MAP_SHARED : MAP_PRIVATE;
  return Mapping({request_.fd, kArenaOffset + offset_bytes, bytes, PROT_READ | PROT_WRITE, flags});
}

}  // namespace memdrift
