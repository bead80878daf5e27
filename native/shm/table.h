// SPDX-License-Identifier: MIT
// The layout of a store's segment. Another process writes it, so it is untrusted: copy, check, use.
//
//   page 0        SegmentHeader (segment.h)
//   page 1        StoreHeader
//   clients       kMaxClients slots of 64 bytes
//   objects       kMaxObjects slots of 512 bytes; pages beyond `objects_used` are not allocated
//   arena         capacity_bytes; extents are whole pages
//
// Rules that keep it valid after SIGKILL at any instruction:
// - Nothing is stored that can be derived. Extents, live bytes and free room follow from the slots.
// - A slot's fields are written while its state is kFree, and appear by one release-store of it.
// - A reference is one bit per (object, client), set and cleared by one atomic operation.
// - What belongs to a dead client counts as free for whoever looks: an object that it had not
//   sealed, and its bits. A client is alive while it holds the lock on its byte
//   (lockOffsetOfClient).
//
// What no check can help: who makes the file shorter, or punches holes into it while /dev/shm is
// full, makes every process that touches the place get SIGBUS. Files of /dev/shm cannot be sealed
// against it. That the file is as long as it says, and that its table has no holes, is looked at
// when it is opened and before slots are first touched.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "shm/crash_point.h"
#include "shm/segment.h"

namespace memdrift {

inline constexpr size_t kPageBytes = 4096;
inline constexpr uint32_t kMaxClients = 1024;
inline constexpr uint32_t kMaxObjects = 65536;
inline constexpr size_t kReferenceWords = kMaxClients / 64;

enum class Placement : uint32_t { kLowest = 0, kRotate = 1 };
// What becomes of the oldest sealed objects that nobody holds when a new one has no room.
enum class WhenFull : uint32_t { kKeep = 0, kEvict = 1 };

// A value that may be read while it is written, by whoever, at any time. Who reads a new one sees
// what its writer did before: that the slot had become free, so that a look at the state afterwards
// tells. Before each change there is a point at which a test may kill the process.
template <typename Value>
class Shared {
 public:
  Value load() const {
    meddlePoint();
    return value_.load(std::memory_order_acquire);
  }
  // In one order, the same for all, with the changes below; see Store::get.
  Value loadInOrder() const {
    meddlePoint();
    return value_.load(std::memory_order_seq_cst);
  }
  void store(Value value) {
    crashPoint();
    value_.store(value, std::memory_order_release);
  }
  void add(Value more) {
    crashPoint();
    value_.fetch_add(more, std::memory_order_relaxed);
  }
  void setBits(Value bits) {
    crashPoint();
    value_.fetch_or(bits, std::memory_order_seq_cst);
  }
  void clearBits(Value bits) {
    crashPoint();
    value_.fetch_and(~bits, std::memory_order_seq_cst);
  }
  // False, and nothing changed, if it was not `expected`.
  bool replace(Value expected, Value value) {
    crashPoint();
    return value_.compare_exchange_strong(expected, value, std::memory_order_seq_cst);
  }

 private:
  std::atomic<Value> value_;
  static_assert(std::atomic<Value>::is_always_lock_free);
};

// Text of at most kBytes - 1 bytes; it need not end with a zero when it is read.
template <size_t kBytes>
class SharedText {
 public:
  void store(const std::string& text) {
    uint64_t words[kBytes / 8] = {};
    memcpy(words, text.data(), text.size() < kBytes ? text.size() : kBytes - 1);
    for (size_t i = 0; i < kBytes / 8; i++) words_[i].store(words[i]);
  }
  std::string load() const {
    uint64_t words[kBytes / 8];
    for (size_t i = 0; i < kBytes / 8; i++) words[i] = words_[i].load();
    const char* text = reinterpret_cast<const char*>(words);
    return {text, strnlen(text, kBytes)};
  }

 private:
  Shared<uint64_t> words_[kBytes / 8];
  static_assert(kBytes % 8 == 0);
};

// For at most this many channels the receiver's end is remembered.
inline constexpr size_t kMaxChannels = 496;

struct StoreHeader {
  // These four are written before anybody else can open the segment.
  Shared<uint64_t> capacity_bytes;
  Shared<uint32_t> placement;
  Shared<uint32_t> with_sites;
  Shared<uint64_t> when_full;
  // Slots that were ever used: who scans looks at these only. Grows, never shrinks.
  Shared<uint32_t> objects_used;
  Shared<uint32_t> clients_used;
  // Where the next extent is looked for with Placement::kRotate; a hint, any value is valid.
  Shared<uint64_t> cursor_bytes;
  // For people to read.
  Shared<uint64_t> puts;
  Shared<uint64_t> gets;
  Shared<uint64_t> evictions;
  // Not 0 once the attachment that made the store has closed; see kMakerLockOffset.
  Shared<uint64_t> maker_closed;
  uint64_t reserved[7];
  // Records of receivers; see channel_table.h.
  Shared<uint64_t> channels[kMaxChannels];
};
static_assert(sizeof(StoreHeader) == kPageBytes);

struct ClientSlot {
  // 0 free, 1 attached. Attached and not alive is free for whoever claims it next.
  Shared<uint32_t> attached;
  Shared<uint32_t> pid;  // for people to read; never a sign of life
  Shared<uint64_t> attached_at_ns;
  SharedText<40> label;
  uint64_t reserved;
};
static_assert(sizeof(ClientSlot) == 64);

enum class ObjectState : uint8_t {
  kFree = 0,
  kCreated = 1,  // its creator fills it
  kSealed = 2,
  kDeleted = 3,  // gone for new readers; free once no live client holds it
  kPunching = 4  // no object: free room whose pages its creator gives back
};

inline constexpr uint32_t kMaxDimensions = 8;

// What the bytes of an object are to its consumer; see src/shm/elements.ts for the types.
struct Elements {
  uint32_t type = 0;  // 0: bytes, of any number
  uint32_t element_bytes = 1;
  uint32_t dimensions = 0;  // with 0 there is no shape
  uint64_t shape[kMaxDimensions] = {};
};

struct ObjectSlot {
  // generation << 8 | ObjectState; see packState.
  Shared<uint64_t> state;
  Shared<uint64_t> size_bytes;
  Shared<uint64_t> offset_bytes;  // from the arena's start
  Shared<uint64_t> extent_bytes;
  Shared<uint64_t> created_at_ns;  // CLOCK_REALTIME
  Shared<uint32_t> creator;        // client slot
  Shared<uint32_t> creator_pid;    // outlives the slot, for people to read
  Shared<uint32_t> element_type;
  Shared<uint32_t> element_bytes;
  Shared<uint64_t> dimensions;
  Shared<uint64_t> references[kReferenceWords];
  Shared<uint64_t> shape[kMaxDimensions];
  SharedText<72> site;
  uint64_t reserved[23];
};
static_assert(sizeof(ObjectSlot) == 512);

inline constexpr size_t kStoreHeaderOffset = kSegmentHeaderBytes;
inline constexpr size_t kClientsOffset = kStoreHeaderOffset + kPageBytes;
inline constexpr size_t kObjectsOffset = kClientsOffset + kMaxClients * sizeof(ClientSlot);
inline constexpr size_t kArenaOffset = kObjectsOffset + size_t{kMaxObjects} * sizeof(ObjectSlot);
inline constexpr size_t kTableDataBytes = kArenaOffset - kSegmentHeaderBytes;
static_assert(kObjectsOffset % kPageBytes == 0 && kArenaOffset % kPageBytes == 0);
static_assert(kPageBytes % sizeof(ObjectSlot) == 0);

// Byte-range locks far behind the data: they exclude nobody from reading or writing it.
inline constexpr int64_t kLockBase = int64_t{1} << 52;
inline constexpr int64_t kTableLockOffset = kLockBase;
inline constexpr int64_t lockOffsetOfClient(uint32_t client) { return kLockBase + 1 + client; }
// Held by the attachment that made the store.
inline constexpr int64_t kMakerLockOffset = kLockBase + 1 + kMaxClients;
// A channel's key has 48 bits.
inline constexpr int64_t kChannelLockBase = int64_t{1} << 53;
inline constexpr int64_t lockOffsetOfChannel(uint64_t key) {
  return kChannelLockBase + static_cast<int64_t>(key & ((uint64_t{1} << 48) - 1));
}

// 37 bits of generation: with 16 bits of index an id is a safe integer of JavaScript.
inline constexpr uint64_t kMaxGeneration = (uint64_t{1} << 37) - 1;

inline constexpr uint64_t packState(uint64_t generation, ObjectState state) {
  return generation << 8 | static_cast<uint64_t>(state);
}
inline constexpr uint64_t generationOf(uint64_t state) { return state >> 8; }
inline constexpr ObjectState kindOf(uint64_t state) {
  return static_cast<ObjectState>(state & 0xff);
}
inline constexpr uint64_t idOf(uint64_t generation, uint32_t index) {
  return generation * kMaxObjects + index;
}

}  // namespace memdrift
