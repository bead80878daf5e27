// SPDX-License-Identifier: MIT
// What a capture's file is made of: a header, then frames. docs/capture-format.md says the same in
// prose. Everything is little-endian; the fixed parts are these structures, byte for byte.
#pragma once

#include <array>
#include <bit>
#include <cstddef>
#include <cstdint>

namespace memdrift {

static_assert(std::endian::native == std::endian::little,
              "structures are written to captures as they lie in memory");

// Not text, and damaged by whatever rewrites ends of lines.
inline constexpr std::array<uint8_t, 8> kCaptureMagic = {0x89, 'M',  'D',  'C',
                                                         '\r', '\n', 0x1a, '\n'};
inline constexpr uint32_t kCaptureVersion = 1;

struct CaptureHeader {
  std::array<uint8_t, 8> magic;
  uint32_t version;
  uint32_t header_bytes;
  uint64_t start_realtime_ns;   // CLOCK_REALTIME
  uint64_t start_monotonic_ns;  // CLOCK_MONOTONIC at the same moment
  uint64_t sample_bytes;        // 0: every allocation is recorded
  uint32_t pid;
  uint32_t page_bytes;
  uint32_t machine;   // e_machine of ELF
  uint32_t state[2];  // see FileState
  uint32_t crc;       // CRC-32C of all bytes before it
};
static_assert(sizeof(CaptureHeader) == 64 && offsetof(CaptureHeader, crc) == 60);

// calls_forbidden: the program was about to install a filter that would end it for calls of ours.
enum class EndReason : uint32_t {
  closed = 1,
  max_bytes = 2,
  write_failed = 3,
  calls_forbidden = 4
};

// State that the writer keeps up to date in the header: a file that is shorter than it says was cut
// later, and a failed write leaves no room for an end frame. Zeros in captures of earlier writers.
struct FileState {
  uint64_t whole_bytes;  // of the file, up to the end of a whole frame; 0: unknown
  uint32_t end_reason;   // EndReason; 0: not ended
};

inline constexpr unsigned kReasonShift = 56;

constexpr FileState stateOf(const CaptureHeader& header) noexcept {
  const uint64_t word = uint64_t{header.state[1]} << 32 | header.state[0];
  return {word & ((uint64_t{1} << kReasonShift) - 1), static_cast<uint32_t>(word >> kReasonShift)};
}

constexpr void setState(CaptureHeader& header, const FileState& state) noexcept {
  const uint64_t word = uint64_t{state.end_reason} << kReasonShift | state.whole_bytes;
  header.state[0] = static_cast<uint32_t>(word);
  header.state[1] = static_cast<uint32_t>(word >> 32);
}

// A frame's head, before its payload.
struct FrameHeader {
  uint32_t type;
  uint32_t payload_bytes;
  uint32_t stream;  // index of the thread's stream, from 1; 0: of the process
  uint32_t crc;     // CRC-32C of the three words before, then of the payload
};
static_assert(sizeof(FrameHeader) == 16);

// No frame is larger, so that damaged sizes are seen.
inline constexpr uint32_t kMaxPayloadBytes = 16 << 20;

// X(name, number)
#define MEMDRIFT_FRAMES(X) \
  X(info, 1)               \
  X(events, 2)             \
  X(thread, 3)             \
  X(module, 4)             \
  X(code, 5)               \
  X(memory, 6)             \
  X(marker, 7)             \
  X(epoch, 8)              \
  X(end, 9)                \
  X(stacks, 10)            \
  X(lines, 11)             \
  X(js_heap, 12)           \
  X(losses, 13)            \
  X(residency, 14)         \
  X(child, 15)

enum class FrameType : uint32_t {
#define MEMDRIFT_DECLARE(name, number) name = number,
  MEMDRIFT_FRAMES(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};

// Records of a thread's stream. The type is the low half of a record's first byte; the high half
// is the hook of a heap record, or a flag. X(name, number)
#define MEMDRIFT_EVENTS(X) \
  X(alloc, 0)              \
  X(free, 1)               \
  X(map, 2)                \
  X(unmap, 3)              \
  X(protect, 4)            \
  X(advise, 5)             \
  X(remap, 6)              \
  X(node, 7)               \
  X(epoch, 8)              \
  X(lost, 9)               \
  X(restore, 10)           \
  X(weight, 11)            \
  X(free_recent, 12)       \
  X(stack, 13)             \
  X(stack_end, 14)

enum class EventType : uint8_t {
#define MEMDRIFT_DECLARE(name, number) name = number,
  MEMDRIFT_EVENTS(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};

#define MEMDRIFT_COUNT(name, number) +1
inline constexpr size_t kEventTypeCount = 0 MEMDRIFT_EVENTS(MEMDRIFT_COUNT);
#undef MEMDRIFT_COUNT

inline constexpr uint64_t kUnknown = UINT64_MAX;  // a number that nobody could tell

struct EpochPayload {
  uint64_t number;
  uint64_t time_ns;  // CLOCK_MONOTONIC, as all times in frames
};
static_assert(sizeof(EpochPayload) == 16);

enum class ThreadState : uint32_t { started = 1, ended = 2 };

struct ThreadPayload {  // then the thread's name
  uint64_t time_ns;
  uint32_t tid;
  uint32_t state;
};
static_assert(sizeof(ThreadPayload) == 16);

struct ModulePayload {  // then the path, then the build id
  uint64_t start_address;
  uint64_t end_address;
  uint64_t file_offset;
  uint64_t time_ns;
  uint32_t path_bytes;
  uint32_t build_id_bytes;
};
static_assert(sizeof(ModulePayload) == 40);

// A code frame's payload is records of code_stream.h, one after another.
enum class CodeKind : uint8_t { bytecode = 1, compiled = 2, wasm = 3 };
inline constexpr uint8_t kCodeKindCount = 3;

// X(name): a sample of the process's memory, each in bytes, or kUnknown
#define MEMDRIFT_MEMORY_FIELDS(X) \
  X(rss_anon_bytes)               \
  X(rss_file_bytes)               \
  X(rss_shmem_bytes)              \
  X(swap_bytes)                   \
  X(heap_total_bytes)             \
  X(heap_used_bytes)              \
  X(external_bytes)               \
  X(array_buffers_bytes)          \
  X(mapped_resident_bytes)        \
  X(malloc_resident_bytes)        \
  X(stack_resident_bytes)         \
  X(store_resident_bytes)         \
  X(own_bytes)

// Fields may be added at the end: a reader takes those that are not there for unknown.
struct MemoryPayload {
  uint64_t time_ns;
#define MEMDRIFT_DECLARE(name) uint64_t name;
  MEMDRIFT_MEMORY_FIELDS(MEMDRIFT_DECLARE)
#undef MEMDRIFT_DECLARE
};
static_assert(sizeof(MemoryPayload) == 112);

// A stacks frame's payload: threads' stacks of which another part is resident than was said last.
struct StackResidency {
  uint64_t address;  // its lowest
  uint64_t resident_bytes;
  uint64_t is_older;  // 1: of a thread that no event tells, since it began before the capture
};
static_assert(sizeof(StackResidency) == 24);

// A residency frame's payload: mappings that changed, or whose resident bytes changed, since the
// last such frame. Every look has a frame, which an epoch precedes: mappings that were made before
// the look are in earlier epochs. Whole pages, by address, and none twice.
struct MappingResidency {
  uint64_t address;
  uint64_t bytes;
  uint64_t resident_bytes;  // private pages of anonymous memory, all pages of files and shared
};
static_assert(sizeof(MappingResidency) == 24);
// The only entry of a last frame: no looks follow.
inline constexpr MappingResidency kNoMoreLooks = {0, 0, kUnknown};
inline constexpr size_t kMostMappings = kMaxPayloadBytes / sizeof(MappingResidency);

// A process that the tracked one started, or a descendant of one: written when it is new, and when
// its peak or its name changed. Pid 0 has the highest peak of all children that ended.
struct ChildPayload {  // then the name, then the arguments, each of these with a NUL
  uint64_t time_ns;
  uint64_t peak_rss_bytes;  // VmHWM as of then
  uint32_t pid;
  uint32_t parent_pid;
  uint32_t is_node;  // it runs Node, and therefore usually has its own capture
  uint32_t is_new;   // 0: the last one with this pid
  uint32_t name_bytes;
  uint32_t argument_bytes;
};
static_assert(sizeof(ChildPayload) == 40);

struct MarkerPayload {  // then the marker's text
  uint64_t time_ns;
};
static_assert(sizeof(MarkerPayload) == 8);

struct EndPayload {
  uint64_t time_ns;
  uint64_t event_bytes;      // in all frames of events
  uint64_t dropped_records;  // also those that no lost record tells
  uint64_t own_bytes;        // memory that the tracker held itself, at most
  uint32_t stream_count;
  uint32_t reason;  // EndReason
  // Fields from here on are not in every capture.
  uint64_t lost_threads;  // threads that never left a record
};
static_assert(sizeof(EndPayload) == 48);
inline constexpr size_t kLeastEndBytes = 40;

// The losses so far, as in the end frame, which a killed process does not write.
struct LossPayload {
  uint64_t time_ns;
  uint64_t dropped_records;
  uint64_t lost_threads;
};
static_assert(sizeof(LossPayload) == 24);

}  // namespace memdrift
