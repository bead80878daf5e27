// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

#include "capture/capture_reader.h"
#include "capture/capture_writer.h"
#include "test/temporary_folder.h"

namespace memdrift {

namespace {

// Returns what the reader says of a capture with this look at mappings; empty when it is whole.
std::string damageOf(const std::vector<MappingResidency>& look) {
  const TemporaryFolder folder;
  CaptureOptions options;
  options.path = folder.file("a.mdc");
  CaptureWriter writer(options);
  writer.start();
  const auto* bytes = reinterpret_cast<const char*>(look.data());
  writer.add(FrameType::residency, {{}, {bytes, look.size() * sizeof look[0]}});
  writer.stop();
  CaptureReader reader(options.path);
  CaptureVisitor nothing;
  reader.readAll(nothing);
  return reader.damage();
}

}  // namespace

TEST(CaptureLook, IsReadWhenItsMappingsAreInOrder) {
  EXPECT_EQ(damageOf({{4096, 8192, 4096}, {12288, 4096, 0}}), "");
  EXPECT_EQ(damageOf({kNoMoreLooks}), "");
}

// Each would make the reader go over the same mappings again and again.
TEST(CaptureLook, IsRefusedWhenItsMappingsOverlapOrHaveNoOrder) {
  EXPECT_NE(damageOf({{12288, 4096, 0}, {4096, 8192, 4096}}), "");
  EXPECT_NE(damageOf({{4096, 8192, 0}, {8192, 4096, 0}}), "");
  EXPECT_NE(damageOf({{1, 1, 0}}), "");
  EXPECT_NE(damageOf({{4096, UINT64_MAX, 0}}), "");
}

}  // namespace memdrift
