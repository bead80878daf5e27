// SPDX-License-Identifier: MIT
// CRC-32C (Castagnoli), as iSCSI and ext4 have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memdrift {

// `before` is the sum of what came before, to go on from; 0 to begin.
uint32_t crc32c(const void* data, size_t size, uint32_t before = 0) noexcept;

// The same on any processor.
uint32_t crc32cByTables(const void* data, size_t size, uint32_t before = 0) noexcept;

}  // namespace memdrift
