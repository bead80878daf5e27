// SPDX-License-Identifier: MIT
// Reads any bytes as an object's tables of frames: the answer is a rule or none, and no byte
// outside is read. The first eight bytes give the place of the tables' header and the code address.
#include <cstdint>
#include <cstring>
#include <vector>

#include "tracker/frame_rule.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace memdrift;
  constexpr uintptr_t kAddress = 0x7f0000000000;
  uint32_t places[2];
  if (size < sizeof places) return 0;
  memcpy(places, data, sizeof places);
  // A copy of its own size, so that the sanitizer sees a read past it.
  const std::vector<uint8_t> tables(data + sizeof places, data + size);
  const Range range = {kAddress, kAddress + tables.size()};
  // Code lies before the tables, as in most objects.
  const uintptr_t pc = kAddress - places[1];
  FrameBytes bytes(range, tables.data());
  frameRule(bytes, kAddress + places[0] % (tables.size() + 1), pc);
  return 0;
}
