// SPDX-License-Identifier: MIT
// Any bytes, in any chunks: parsed or refused with ERR_MALFORMED, and the same either way as in one
// chunk. The first byte is the size of the chunks.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>

#include "errors.h"
#include "proc/counters.h"
#include "proc/smaps.h"

namespace memdrift {
namespace {

[[noreturn]] void fail() { abort(); }

bool parse(std::string_view text, size_t chunk, SmapsTable& table) {
  try {
    SmapsParser parser;
    for (size_t at = 0; at < text.size(); at += chunk) {
      // A copy of its own size, so that the sanitizer sees a read past the chunk.
      const std::string part(text.substr(at, chunk));
      parser.feed(part.data(), part.size());
    }
    table = parser.finish();
    return true;
  } catch (const Error& error) {
    if (error.code() != ErrorCode::ERR_MALFORMED) fail();
    return false;
  }
}

void expectSame(const SmapsTable& a, const SmapsTable& b) {
  if (a.size() != b.size() || a.reported != b.reported) fail();
  if (a.mappings.strings.strings() != b.mappings.strings.strings()) fail();
  for (size_t i = 0; i < a.size(); i++) {
    // NaN is one bit pattern here, so that rows compare as bytes.
    if (memcmp(&a.values[i], &b.values[i], sizeof a.values[i]) != 0) fail();
    if (a.mappings[i].start_address != b.mappings[i].start_address) fail();
    if (a.mappings[i].name != b.mappings[i].name) fail();
    if (a.mappings[i].vm_flags != b.mappings[i].vm_flags) fail();
  }
}

template <typename Parse>
void parseOrRefuse(Parse&& parse) {
  try {
    parse();
  } catch (const Error& error) {
    if (error.code() != ErrorCode::ERR_MALFORMED) fail();
  }
}

}  // namespace
}  // namespace memdrift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace memdrift;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  SmapsTable whole, pieces;
  const bool accepted = parse(text, SIZE_MAX / 2, whole);
  if (parse(text, data[0] + size_t{1}, pieces) != accepted) fail();
  if (accepted) expectSame(whole, pieces);
  Counters counters;
  parseOrRefuse([&] { parseRollup(text); });
  parseOrRefuse([&] { parseMaps(text); });
  parseOrRefuse([&] { parseStatus(text, counters); });
  parseOrRefuse([&] { parseStat(text, counters); });
  parseOrRefuse([&] { parseStatm(text, 4096); });
  return 0;
}
