// SPDX-License-Identifier: MIT
// The arena of a store in this process's address space.
#pragma once

#include <cstdint>
#include <memory>

#include "shm/mapping.h"
#include "shm/placement.h"

namespace memdrift {

// How the arena is mapped. A producer writes to the file; a consumer shares its pages until it
// writes to one, and then has a copy of that page.
enum class Access { kProducer, kConsumer };

struct ArenaRequest {
  int fd;
  uint64_t capacity_bytes;
  Access access;
  // Maps the arena as a whole where the kernel allows it.
  bool whole;
};

// The memory of one extent. Where the arena is not mapped as a whole, the mapping goes with it, or
// with the last who shares it.
struct ArenaPart {
  unsigned char* bytes = nullptr;
  uint64_t size_bytes = 0;
  std::shared_ptr<Mapping> own;
};

// Mapped as a whole a part costs nothing and page-table entries live on from one object to the next
// at its place. Where the kernel has no address space for that (RLIMIT_AS), or would charge a
// private mapping in full (vm.overcommit_memory=2), each part is a mapping of its own.
class Arena {
 public:
  Arena() = default;
  explicit Arena(const ArenaRequest& request);

  bool isWhole() const noexcept { return whole_.data() != nullptr; }
  // Throws ERR_NO_MEMORY when the kernel refuses a mapping of its own.
  ArenaPart part(const Extent& extent) const;

 private:
  Mapping map(uint64_t offset_bytes, uint64_t bytes) const;

  ArenaRequest request_{};
  Mapping whole_;
};

}  // namespace memdrift
