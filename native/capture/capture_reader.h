// SPDX-License-Identifier: MIT
// A capture from its file: frames in their order, and events in the order in which they happened.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "capture/code_stream.h"
#include "capture/event_decoder.h"
#include "capture/format.h"
#include "capture/js_heap_stream.h"
#include "capture/line_stream.h"

namespace memdrift {

// A file of which nothing is taken on trust: frames are whole and have the right sum, or the file
// ends before them.
class FrameReader {
 public:
  // Throws ERR_GONE, ERR_DENIED, ERR_MALFORMED (no capture), ERR_UNSUPPORTED (of another version).
  explicit FrameReader(const std::string& path);
  ~FrameReader();
  FrameReader(const FrameReader&) = delete;
  FrameReader& operator=(const FrameReader&) = delete;

  struct Frame {
    FrameType type;
    uint32_t stream;
    std::string_view payload;  // until the next one
  };
  // The next frame; none at the end, or where the file is damaged.
  std::optional<Frame> next();

  const CaptureHeader& header() const noexcept { return header_; }
  uint64_t offset() const noexcept { return at_; }  // of the frame that comes next
  uint64_t fileBytes() const noexcept { return size_; }
  // Returns the damage at `offset`, or nothing. A last frame that a kill left unfinished is not
  // damage.
  const std::string& damage() const noexcept { return damage_; }

 private:
  std::optional<Frame> endOfFile();
  std::string_view bytes(uint64_t at, size_t count);
  void fill(uint64_t at, size_t count);

  uint64_t size_ = 0;
  int fd_;
  CaptureHeader header_;
  uint64_t at_ = 0;
  // Of the file what is in memory: `held_` bytes from `begin_` on.
  std::vector<char> buffer_;
  uint64_t begin_ = 0;
  size_t held_ = 0;
  bool is_cut_ = false;  // no whole frame is left
  std::string damage_;
};

struct ThreadRecord {
  uint32_t stream;
  uint32_t tid;
  ThreadState state;
  uint64_t time_ns;
  std::string_view name;
};
struct ModuleRecord {
  uint64_t start_address;
  uint64_t end_address;
  uint64_t file_offset;
  uint64_t time_ns;
  std::string_view path;
  std::string_view build_id;
};

struct ChildRecord {
  ChildPayload fixed;
  std::string_view name;
  std::string_view arguments;
};

// Of one stream and epoch, in order.
struct BlockEvents {
  uint32_t stream;
  uint64_t epoch;
  std::span<const BlockEvent> blocks;
};

// The same as the other records are told.
inline Event eventOf(const BlockEvents& of, const BlockEvent& block) {
  Event event;
  event.type = block.is_free ? EventType::free : EventType::alloc;
  event.hook = block.hook;
  event.stream = of.stream;
  event.epoch = of.epoch;
  event.node = block.node;
  event.address = block.address;
  event.bytes = block.bytes;
  event.weight = block.weight;
  return event;
}

// What a capture's records are given to. Events of one thread come in order, of several as their
// epochs say; everything else where it stands in the file.
class CaptureVisitor {
 public:
  virtual ~CaptureVisitor() = default;
  virtual void onHeader(const CaptureHeader&) {}
  virtual void onInfo(std::string_view) {}
  virtual void onThread(const ThreadRecord&) {}
  // Called when the thread has ended and all of its events have been delivered.
  virtual void onStreamEnd(uint32_t /*stream*/) {}
  virtual void onModule(const ModuleRecord&) {}
  virtual void onCode(const CodeEvent&) {}
  virtual void onPlaceLines(const PlaceLines&) {}
  // `payload`: what the profile was read from.
  virtual void onJsHeap(const JsHeapProfile&, std::string_view /*payload*/) {}
  virtual void onMemory(const MemoryPayload&) {}
  virtual void onStackResidency(const StackResidency&) {}
  virtual void onMappingLook(std::span<const MappingResidency>) {}
  virtual void onChild(const ChildRecord&) {}
  virtual void onMarker(uint64_t /*time_ns*/, std::string_view) {}
  virtual void onEpoch(const EpochPayload&) {}
  virtual void onEvent(const Event&) {}
  // Allocations and frees come here, many at a time: a capture is hardly anything else.
  virtual void onBlocks(const BlockEvents& events) {
    for (const BlockEvent& block : events.blocks) onEvent(eventOf(events, block));
  }
  virtual void onLosses(const LossPayload&) {}
  virtual void onEnd(const EndPayload&) {}
};

// One pass over a capture, in memory of the size of what one write of it holds.
class CaptureReader {
 public:
  // Throws as FrameReader.
  explicit CaptureReader(const std::string& path) : frames_(path) {}

  void readAll(CaptureVisitor& visitor);
  // Reads the next frame and hands over what is complete then. False at the end.
  bool readFrame(CaptureVisitor& visitor);

  const CaptureHeader& header() const noexcept { return frames_.header(); }
  uint64_t fileBytes() const noexcept { return frames_.fileBytes(); }
  // Where and why the rest cannot be read; empty: all that was written is there.
  const std::string& damage() const noexcept { return damage_; }
  // Returns an EndReason, or 0: the process was killed, or still runs.
  uint32_t endReason() const noexcept { return end_reason_; }

 private:
  struct Stream {
    explicit Stream(uint32_t index) : decoder(index) {}
    EventDecoder decoder;
    std::string bytes;  // whole records; from `at` on they are not handed over yet
    size_t at = 0;
    bool is_waiting = false;  // it has a turn
    bool is_ended = false;    // no events follow
  };
  // A stream that has records, and the epoch of the first. Within an epoch the lower number is
  // first.
  struct Turn {
    uint64_t epoch;
    Stream* stream;
    bool operator<(const Turn& other) const noexcept;
  };

  void take(const FrameReader::Frame& frame, CaptureVisitor& visitor);
  bool takeThread(const FrameReader::Frame& frame, CaptureVisitor& visitor);
  void takeCodes(std::string_view payload, CaptureVisitor& visitor);
  void takeLines(std::string_view payload, CaptureVisitor& visitor);
  void takeHeap(std::string_view payload, CaptureVisitor& visitor);
  // Events of epochs before `epoch`.
  void handOver(uint64_t epoch, CaptureVisitor& visitor);
  void addEvents(const FrameReader::Frame& frame);
  void awaitTurn(Stream& stream);
  void endStream(uint32_t stream, CaptureVisitor& visitor);
  void handOverSegment(Stream& stream, CaptureVisitor& visitor);
  void finish(CaptureVisitor& visitor);
  void stopAt(const std::string& why);

  FrameReader frames_;
  std::unordered_map<uint32_t, Stream> streams_;
  // A heap, so that the cost of a frame depends on its records and not on the number of streams.
  std::vector<Turn> turns_;
  std::string damage_;
  bool has_begun_ = false;
  uint32_t end_reason_ = 0;
  bool is_finished_ = false;
};

}  // namespace memdrift
