// SPDX-License-Identifier: MIT
#include "capture/capture_reader.h"

#include <algorithm>
#include <cstring>

namespace memdrift {

namespace {

// A frame's fixed part; what follows it in `rest`.
template <typename Fixed>
bool takeFixed(std::string_view payload, Fixed& fixed, std::string_view& rest) {
  if (payload.size() < sizeof fixed) return false;
  memcpy(&fixed, payload.data(), sizeof fixed);
  rest = payload.substr(sizeof fixed);
  return true;
}

bool takeModule(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  ModulePayload fixed;
  std::string_view rest;
  if (!takeFixed(frame.payload, fixed, rest)) return false;
  if (rest.size() != uint64_t{fixed.path_bytes} + fixed.build_id_bytes) return false;
  visitor.onModule({fixed.start_address, fixed.end_address, fixed.file_offset, fixed.time_ns,
                    rest.substr(0, fixed.path_bytes), rest.substr(fixed.path_bytes)});
  return true;
}

// Rows of an earlier writer are shorter.
bool takeMemory(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  MemoryPayload fixed;
  std::fill_n(reinterpret_cast<uint64_t*>(&fixed), sizeof fixed / sizeof(uint64_t), kUnknown);
  const size_t bytes = std::min(frame.payload.size(), sizeof fixed);
  if (bytes < sizeof fixed.time_ns) return false;
  memcpy(&fixed, frame.payload.data(), bytes - bytes % sizeof(uint64_t));
  visitor.onMemory(fixed);
  return true;
}

bool takeStacks(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  std::string_view rest = frame.payload;
  for (StackResidency one; takeFixed(rest, one, rest);) visitor.onStackResidency(one);
  return rest.empty();
}

// Hands over a look. Its entries must be in order: then it costs no more than the mappings that it
// covers.
bool takeResidency(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  constexpr uint64_t kPageMask = 4095;
  std::vector<MappingResidency> look;
  std::string_view rest = frame.payload;
  uint64_t end = 0;
  for (MappingResidency one; takeFixed(rest, one, rest);) {
    if ((one.address & kPageMask) != 0 || one.address < end) return false;
    end = one.address + one.bytes;
    if (end < one.address) return false;
    look.push_back(one);
  }
  if (rest.empty()) visitor.onMappingLook(look);
  return rest.empty();
}

bool takeChild(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  ChildPayload fixed;
  std::string_view rest;
  if (!takeFixed(frame.payload, fixed, rest)) return false;
  if (rest.size() != uint64_t{fixed.name_bytes} + fixed.argument_bytes) return false;
  visitor.onChild({fixed, rest.substr(0, fixed.name_bytes), rest.substr(fixed.name_bytes)});
  return true;
}

bool takeMarker(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  MarkerPayload fixed;
  std::string_view label;
  if (!takeFixed(frame.payload, fixed, label)) return false;
  visitor.onMarker(fixed.time_ns, label);
  return true;
}

// An earlier writer's payload is shorter.
bool takeEnd(std::string_view payload, EndPayload& end) {
  end = {};
  if (payload.size() < kLeastEndBytes) return false;
  memcpy(&end, payload.data(), std::min(payload.size(), sizeof end));
  return true;
}

constexpr size_t kBlocksAtOnce = 256;
// Prepares a stream whose records are handed over for its next ones.
constexpr size_t kKeptBytes = 64 << 10;

const uint8_t* bytesOf(std::string_view text) {
  return reinterpret_cast<const uint8_t*>(text.data());
}

}  // namespace

void CaptureReader::readAll(CaptureVisitor& visitor) {
  while (readFrame(visitor)) continue;
}

bool CaptureReader::readFrame(CaptureVisitor& visitor) {
  if (is_finished_) return false;
  if (!has_begun_) visitor.onHeader(header());
  has_begun_ = true;
  if (damage_.empty()) {
    if (const auto frame = frames_.next()) {
      take(*frame, visitor);
      return true;
    }
    if (!frames_.damage().empty())
      stopAt(frames_.damage());
    else if (end_reason_ == 0)
      end_reason_ = stateOf(header()).end_reason;
  }
  finish(visitor);
  return false;
}

void CaptureReader::stopAt(const std::string& why) {
  if (damage_.empty()) damage_ = "at byte " + std::to_string(frames_.offset()) + ": " + why;
}

void CaptureReader::finish(CaptureVisitor& visitor) {
  is_finished_ = true;
  handOver(UINT64_MAX, visitor);
}

void CaptureReader::take(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  bool is_right = true;
  std::string_view rest;
  switch (frame.type) {
    case FrameType::info:
      visitor.onInfo(frame.payload);
      break;
    case FrameType::events:
      addEvents(frame);
      break;
    case FrameType::thread:
      is_right = takeThread(frame, visitor);
      break;
    case FrameType::module:
      is_right = takeModule(frame, visitor);
      break;
    case FrameType::code:
      takeCodes(frame.payload, visitor);
      break;
    case FrameType::lines:
      takeLines(frame.payload, visitor);
      break;
    case FrameType::js_heap:
      takeHeap(frame.payload, visitor);
      break;
    case FrameType::memory:
      is_right = takeMemory(frame, visitor);
      break;
    case FrameType::stacks:
      is_right = takeStacks(frame, visitor);
      break;
    case FrameType::residency:
      is_right = takeResidency(frame, visitor);
      break;
    case FrameType::child:
      is_right = takeChild(frame, visitor);
      break;
    case FrameType::marker:
      is_right = takeMarker(frame, visitor);
      break;
    case FrameType::epoch: {
      EpochPayload epoch;
      is_right = takeFixed(frame.payload, epoch, rest);
      if (is_right) handOver(epoch.number, visitor);
      if (is_right) visitor.onEpoch(epoch);
      break;
    }
    case FrameType::losses: {
      LossPayload losses;
      is_right = takeFixed(frame.payload, losses, rest);
      if (is_right) visitor.onLosses(losses);
      break;
    }
    case FrameType::end: {
      EndPayload end;
      is_right = takeEnd(frame.payload, end);
      handOver(UINT64_MAX, visitor);
      if (is_right) visitor.onEnd(end);
      if (is_right) end_reason_ = end.reason;
      break;
    }
  }
  // Frames of types that came later are passed over: a reader of this version can do without them.
  if (!is_right) stopAt("a frame does not hold what its type says");
}

bool CaptureReader::takeThread(const FrameReader::Frame& frame, CaptureVisitor& visitor) {
  ThreadPayload fixed;
  std::string_view name;
  if (!takeFixed(frame.payload, fixed, name) || fixed.state < 1 || fixed.state > 2) return false;
  const auto state = static_cast<ThreadState>(fixed.state);
  visitor.onThread({frame.stream, fixed.tid, state, fixed.time_ns, name});
  if (state == ThreadState::ended) endStream(frame.stream, visitor);
  return true;
}

// Nothing is kept of ended threads, since there may be thousands.
void CaptureReader::endStream(uint32_t number, CaptureVisitor& visitor) {
  const auto stream = streams_.find(number);
  if (stream != streams_.end()) {
    stream->second.is_ended = true;
    if (stream->second.is_waiting) return;
    streams_.erase(stream);
  }
  visitor.onStreamEnd(number);
}

void CaptureReader::takeCodes(std::string_view payload, CaptureVisitor& visitor) {
  const uint8_t* at = bytesOf(payload);
  const uint8_t* end = at + payload.size();
  while (at < end) {
    CodeEvent event;
    if (const char* problem = takeCode(at, end, event)) return stopAt(problem);
    visitor.onCode(event);
  }
}

void CaptureReader::takeLines(std::string_view payload, CaptureVisitor& visitor) {
  const uint8_t* at = bytesOf(payload);
  const uint8_t* end = at + payload.size();
  PlaceLines place;
  while (at < end) {
    if (const char* problem = takePlaceLines(at, end, place)) return stopAt(problem);
    visitor.onPlaceLines(place);
  }
}

void CaptureReader::takeHeap(std::string_view payload, CaptureVisitor& visitor) {
  JsHeapProfile profile;
  if (const char* problem = takeJsHeap(payload, profile)) return stopAt(problem);
  visitor.onJsHeap(profile, payload);
}

// The order of std::push_heap: the turn that comes first is the greatest.
bool CaptureReader::Turn::operator<(const Turn& other) const noexcept {
  if (epoch != other.epoch) return epoch > other.epoch;
  return stream->decoder.stream() > other.stream->decoder.stream();
}

void CaptureReader::addEvents(const FrameReader::Frame& frame) {
  Stream& stream = streams_.try_emplace(frame.stream, frame.stream).first->second;
  // Not at each hand-over: the bytes of a stream that holds many would be moved again and again.
  if (stream.at > stream.bytes.size() / 2) {
    stream.bytes.erase(0, stream.at);
    stream.at = 0;
  }
  stream.bytes.append(frame.payload);
  if (!stream.is_waiting) awaitTurn(stream);
}

void CaptureReader::awaitTurn(Stream& stream) {
  stream.is_waiting = stream.at < stream.bytes.size();
  if (!stream.is_waiting) return;
  const uint8_t* begin = bytesOf(stream.bytes);
  const uint64_t epoch = stream.decoder.epochAt(begin + stream.at, begin + stream.bytes.size());
  turns_.push_back({epoch, &stream});
  std::push_heap(turns_.begin(), turns_.end());
}

void CaptureReader::handOver(uint64_t epoch, CaptureVisitor& visitor) {
  while (!turns_.empty() && turns_.front().epoch < epoch) {
    Stream& stream = *turns_.front().stream;
    std::pop_heap(turns_.begin(), turns_.end());
    turns_.pop_back();
    handOverSegment(stream, visitor);
    awaitTurn(stream);
    if (stream.is_ended && !stream.is_waiting) endStream(stream.decoder.stream(), visitor);
  }
}

// To the end of what there is, or to the next epoch's beginning.
void CaptureReader::handOverSegment(Stream& stream, CaptureVisitor& visitor) {
  const uint8_t* begin = bytesOf(stream.bytes);
  const uint8_t* end = begin + stream.bytes.size();
  const uint8_t* at = begin + stream.at;
  Event event;
  BlockEvent blocks[kBlocksAtOnce];
  bool is_first = true;
  while (at < end && (is_first || static_cast<EventType>(*at & 15) != EventType::epoch)) {
    is_first = false;
    if (const size_t count = stream.decoder.blocks(at, end, blocks)) {
      visitor.onBlocks({stream.decoder.stream(), stream.decoder.epoch(), {blocks, count}});
      continue;
    }
    if (const char* problem = stream.decoder.next(at, end, event)) {
      stopAt(problem);
      at = end;
      break;
    }
    if (event.type != EventType::epoch) visitor.onEvent(event);
  }
  stream.at = static_cast<size_t>(at - begin);
  if (stream.at < stream.bytes.size()) return;
  stream.at = 0;
  // Waiting threads keep no memory, since there may be 60,000.
  if (stream.bytes.capacity() > kKeptBytes) std::string().swap(stream.bytes);
  stream.bytes.clear();
}

}  // namespace memdrift
