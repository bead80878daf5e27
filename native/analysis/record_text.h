// SPDX-License-Identifier: MIT
// Every record of a capture as a line of text.
#pragma once

#include <span>
#include <string>

#include "capture/capture_reader.h"

namespace memdrift {

class RecordText final : CaptureVisitor {
 public:
  // Throws as CaptureReader.
  explicit RecordText(const std::string& path) : reader_(path) {}

  // The next lines, about `bytes` of them; empty at the end.
  std::string next(size_t bytes);

 private:
  void onInfo(std::string_view text) override;
  void onThread(const ThreadRecord& thread) override;
  void onModule(const ModuleRecord& module) override;
  void onCode(const CodeEvent& event) override;
  void onPlaceLines(const PlaceLines& place) override;
  void onJsHeap(const JsHeapProfile& profile, std::string_view payload) override;
  void onMemory(const MemoryPayload& memory) override;
  void onStackResidency(const StackResidency& stack) override;
  void onChild(const ChildRecord& child) override;
  void onMappingLook(std::span<const MappingResidency> look) override;
  void onMarker(uint64_t time_ns, std::string_view label) override;
  void onEpoch(const EpochPayload& epoch) override;
  void onEvent(const Event& event) override;
  void onLosses(const LossPayload& losses) override;
  void onEnd(const EndPayload& end) override;

  [[gnu::format(printf, 2, 3)]] void line(const char* format, ...);
  double ms(uint64_t time_ns) const;

  CaptureReader reader_;
  std::string text_;
  bool has_more_ = true;
};

}  // namespace memdrift
