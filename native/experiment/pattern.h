// SPDX-License-Identifier: MIT
// The content of the experiment's arrays. Word i of the array with key k is k + i * kStride modulo
// 2^64, stored little-endian; a last partial word is cut. The key is a mixed function of (client,
// round, direction), so two arrays differ in every word, and a word that moved within its array is
// wrong too. Addition only, because it runs at the speed of memory: a multiply-and-shift mix per
// word is three times slower than the memory it checks.
#pragma once

#include <cstddef>
#include <cstdint>

namespace memdrift {

inline constexpr uint64_t kPatternStride = 0x9E3779B97F4A7C15;

// Fills bytes[0, size) with the words of `key`.
void patternFill(unsigned char* bytes, size_t size, uint64_t key) noexcept;

// Index of the first byte that differs from what patternFill writes, or `size` if none does.
size_t patternMismatch(const unsigned char* bytes, size_t size, uint64_t key) noexcept;

}  // namespace memdrift
