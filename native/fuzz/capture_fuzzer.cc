// SPDX-License-Identifier: MIT
// A capture is a file, and any file can be named as one.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "analysis/allocation_table.h"
#include "analysis/record_text.h"
#include "capture/capture_reader.h"
#include "capture/crc32c.h"
#include "errors.h"

namespace {

// Sums that are right, or no input would come further than to the first frame.
void mendSums(std::string& bytes) {
  using namespace memdrift;
  if (bytes.size() < sizeof(CaptureHeader)) return;
  CaptureHeader header;
  memcpy(&header, bytes.data(), sizeof header);
  header.magic = kCaptureMagic;
  header.version = kCaptureVersion;
  header.header_bytes = sizeof header;
  header.crc = crc32c(&header, offsetof(CaptureHeader, crc));
  memcpy(bytes.data(), &header, sizeof header);
  for (size_t at = sizeof header; bytes.size() - at >= sizeof(FrameHeader);) {
    FrameHeader frame;
    memcpy(&frame, &bytes[at], sizeof frame);
    if (bytes.size() - at - sizeof frame < frame.payload_bytes) return;
    frame.crc = crc32c(&frame, offsetof(FrameHeader, crc));
    frame.crc = crc32c(&bytes[at] + sizeof frame, frame.payload_bytes, frame.crc);
    memcpy(&bytes[at], &frame, sizeof frame);
    at += sizeof frame + frame.payload_bytes;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes(reinterpret_cast<const char*>(data), size);
  mendSums(bytes);
  const int fd = memfd_create("capture", 0);
  if (write(fd, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) abort();
  const std::string path = "/proc/self/fd/" + std::to_string(fd);
  try {
    const memdrift::CaptureAnalysis analysis(path, {3, true, 10});
    analysis.table(memdrift::Moment::peak);
    analysis.table(memdrift::Moment::end);
    analysis.table(memdrift::Moment::temporary);
    memdrift::RecordText text(path);
    while (!text.next(1 << 16).empty()) continue;
  } catch (const memdrift::Error&) {
  }
  close(fd);
  return 0;
}
