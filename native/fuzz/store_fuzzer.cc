// SPDX-License-Identifier: MIT
// A script of calls on two attachments of a small store, whose table somebody else writes to:
// between the calls, and before the n-th look of a call at the table, so that a value is seen to
// change between its check and its use. Whatever was written, a call returns or says why not, and
// every byte of a view is of the arena.
//
// Each page of the arena begins with a mark and its number, by which a view tells where it lies.
#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <initializer_list>
#include <memory>
#include <string>
#include <vector>

#include "capture/crc32c.h"
#include "errors.h"
#include "shm/store.h"

namespace memdrift {
namespace {

using enum ErrorCode;

constexpr uint64_t kArenaPages = 24;
constexpr uint64_t kCapacityBytes = kArenaPages * kPageBytes;
constexpr uint64_t kPageMark = 0xa5e9000000000000;
// Looks at the table of one input; a loop that shared memory keeps going is found by it.
constexpr uint64_t kMaxLooks = 2'000'000;
constexpr size_t kMaxOperations = 64;

// So that no read of a view is left out.
volatile uint64_t checksum = 0;

[[noreturn]] void fail(const char* what) {
  fprintf(stderr, "store_fuzzer: %s\n", what);
  abort();
}

class Input {
 public:
  Input(const uint8_t* data, size_t size) : at_(data), end_(data + size) {}
  bool any() const { return at_ < end_; }
  uint8_t byte() { return any() ? *at_++ : 0; }
  uint64_t number(int bytes) {
    uint64_t value = 0;
    for (int i = 0; i < bytes; i++) value |= uint64_t{byte()} << (8 * i);
    return value;
  }

 private:
  const uint8_t* at_;
  const uint8_t* end_;
};

// One segment for all inputs, and a mapping of its table that is nobody's attachment.
class Victim {
 public:
  Victim()
      : segment_(Segment::create({"fuzz-" + std::to_string(getpid()), SegmentKind::kStore,
                                  kTableDataBytes + kCapacityBytes,
                                  [](Segment& made) {
                                    StoreTable::format(made, kCapacityBytes,
                                                       {Placement::kLowest, true, WhenFull::kKeep});
                                  }})),
        table_({segment_->fd(), 0, kArenaOffset, PROT_READ | PROT_WRITE, MAP_SHARED}),
        arena_({segment_->fd(), kArenaOffset, kCapacityBytes, PROT_READ | PROT_WRITE, MAP_SHARED}),
        first_(table_.data(), table_.data() + kObjectsOffset) {}

  const std::string& name() const { return segment_->name(); }
  unsigned char* table() const { return table_.data(); }
  StoreHeader& header() const {
    return *reinterpret_cast<StoreHeader*>(table_.data() + kStoreHeaderOffset);
  }

  void restore(bool rotate, bool evict) {
    memcpy(table_.data(), first_.data(), first_.size());
    if (fallocate(segment_->fd(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                  static_cast<off_t>(kObjectsOffset),
                  static_cast<off_t>(kArenaOffset - kObjectsOffset)) != 0)
      fail("no hole");
    for (uint64_t page = 0; page < kArenaPages; page++) {
      const uint64_t mark = kPageMark | page;
      memcpy(arena_.data() + page * kPageBytes, &mark, sizeof mark);
    }
    header().placement.store(rotate ? 1 : 0);
    header().when_full.store(evict ? 1 : 0);
  }

 private:
  std::unique_ptr<Segment> segment_;
  Mapping table_;
  Mapping arena_;
  std::vector<unsigned char> first_;
};

// What is written to the table, and where.
struct Meddling {
  size_t offset, bytes;
  uint64_t value;
};

class Script {
 public:
  Script(Victim& victim, Input input) : victim_(victim), input_(input) {}

  void run();
  // Before each look of a call at the table.
  void onLook() {
    if (++looks_ > kMaxLooks) fail("a call does not end");
    if (countdown_ == 0 || --countdown_ != 0) return;
    for (const Meddling& one : armed_) write(one);
  }

 private:
  struct Filled {
    Room room;
    bool open;
  };
  struct Attachment {
    std::shared_ptr<Store> store;
    std::vector<Filled> rooms;
    std::vector<std::pair<uint64_t, View>> views;
  };

  void operation();
  void call(Attachment& at, uint8_t which);
  void attach(Attachment& at);
  void create(Attachment& at);
  void end(Attachment& at, bool seals);
  void get(Attachment& at);
  void release(Attachment& at);
  void look(const Store& store);
  uint64_t anId();
  Meddling meddling();
  uint64_t aValue();
  size_t aPlace(size_t& bytes);
  void write(const Meddling& one) { memcpy(victim_.table() + one.offset, &one.value, one.bytes); }
  void checkBytes(const unsigned char* bytes, uint64_t size_bytes);
  void checkViews(const Attachment& at);

  Victim& victim_;
  Input input_;
  Attachment attachments_[2];
  std::vector<uint64_t> ids_;
  std::vector<Meddling> armed_;
  uint64_t countdown_ = 0, looks_ = 0;
};

Script* current = nullptr;

template <typename Call>
void allowed(std::initializer_list<ErrorCode> codes, Call&& call) {
  try {
    call();
  } catch (const Error& error) {
    if (std::find(codes.begin(), codes.end(), error.code()) != codes.end()) return;
    fail(error.what());
  }
}

void Script::run() {
  const uint8_t flags = input_.byte();
  victim_.restore((flags & 1) != 0, (flags & 2) != 0);
  for (Attachment& at : attachments_) attach(at);
  for (size_t count = 0; count < kMaxOperations && input_.any(); count++) operation();
  for (Attachment& at : attachments_) {
    checkViews(at);
    at.store.reset();
  }
}

void Script::operation() {
  const uint8_t first = input_.byte();
  Attachment& at = attachments_[first >> 7];
  const uint8_t which = first & 0x7f;
  if (which >= 0x60) {
    // Later: a few writes before the n-th look of the calls to come.
    if (countdown_ == 0) armed_.clear();
    armed_.push_back(meddling());
    countdown_ = (which & 0x1f) + 1;
    return;
  }
  if (which >= 0x40) return write(meddling());
  call(at, which);
  checkViews(at);
}

void Script::call(Attachment& at, uint8_t which) {
  if (!at.store) return attach(at);
  switch (which % 12) {
    case 0:
    case 1:
      return create(at);
    case 2:
    case 3:
    case 4:
      return end(at, which % 12 != 4);
    case 5:
    case 6:
      return get(at);
    case 7:
      return release(at);
    case 8:
      return allowed({ERR_GONE, ERR_STATE, ERR_CORRUPT}, [&] { at.store->remove(anId()); });
    case 9:
      return look(*at.store);
    case 10:
      return allowed({ERR_BUSY, ERR_CORRUPT, ERR_FULL, ERR_STATE},
                     [&] { at.store->giveBack(input_.byte() * kPageBytes, 0); });
    default:
      at = {};
      if (which >= 0x20) return attach(at);
  }
}

void Script::attach(Attachment& at) {
  const uint8_t flags = input_.byte();
  AttachOptions options;
  options.trim = (flags & 1) != 0;
  options.whole_arena = (flags & 2) != 0;
  options.read_only = (flags & 0xf0) == 0xf0;
  options.label = "fuzz";
  allowed({ERR_CORRUPT, ERR_MALFORMED, ERR_FULL},
          [&] { at.store = Store::open(victim_.name(), options); });
}

void Script::create(Attachment& at) {
  const uint64_t size_bytes = input_.number(2) * 2;
  Elements elements;
  if (size_bytes % 16 == 0) elements = {1, 4, 2, {2, size_bytes / 8}};
  allowed({ERR_FULL, ERR_TOO_LARGE, ERR_BUSY, ERR_CORRUPT, ERR_STATE}, [&] {
    const Room room =
        at.store->create({size_bytes, "fuzzer.js:1", 0, size_bytes % 32 == 0, elements});
    ids_.push_back(room.id);
    at.rooms.push_back({room, true});
  });
}

void Script::end(Attachment& at, bool seals) {
  if (at.rooms.empty()) return;
  const size_t which = input_.byte() % at.rooms.size();
  const uint64_t id = at.rooms[which].room.id;
  // What is ended is not touched any more, however it ended. Where somebody has set a generation
  // back, a later one may have its id.
  bool open = false;
  for (Filled& filled : at.rooms) {
    if (filled.room.id != id) continue;
    open = open || filled.open;
    filled.open = false;
  }
  allowed({ERR_STATE, ERR_CORRUPT}, [&] {
    if (!seals) return at.store->abort(id);
    at.store->seal(id).giveUp();
    if (!open) fail("an object was sealed twice");
  });
}

void Script::get(Attachment& at) {
  const uint64_t id = anId();
  allowed({ERR_GONE, ERR_STATE, ERR_CORRUPT}, [&] {
    const View view = at.store->get(id);
    if (!isShapeOf(view.elements, view.size_bytes)) fail("a shape that is not of its size");
    at.views.emplace_back(id, view);
    if (input_.byte() % 4 == 0) {
      at.store->hold(id);
      at.views.emplace_back(id, view);
    }
    if (view.size_bytes > kPageBytes) view.bytes[kPageBytes - 1] = 1;
  });
}

void Script::release(Attachment& at) {
  if (at.views.empty()) return allowed({ERR_STATE}, [&] { at.store->release(anId()); });
  const auto which = at.views.begin() + input_.byte() % static_cast<int>(at.views.size());
  const uint64_t id = which->first;
  at.views.erase(which);
  // What is held can be released, whatever the table says.
  at.store->release(id);
}

void Script::look(const Store& store) {
  allowed({ERR_CORRUPT}, [&] {
    for (const ObjectInfo& info : store.list()) {
      if (info.object.id() > (uint64_t{1} << 53) - 1) fail("an id that is no safe integer");
      if (info.site.size() > 72 || info.holders.size() > kMaxClients) fail("a long list");
      if (ids_.size() < 256) ids_.push_back(info.object.id());
    }
    const StoreStats stats = store.stats();
    if (stats.capacity_bytes > kCapacityBytes || stats.clients > kMaxClients ||
        stats.objects > kMaxObjects)
      fail("stats that cannot be");
  });
}

uint64_t Script::anId() {
  const uint8_t which = input_.byte();
  if (which == 0xff) return input_.number(8);
  return ids_.empty() ? which : ids_[which % ids_.size()];
}

Meddling Script::meddling() {
  Meddling one{};
  one.offset = aPlace(one.bytes);
  one.value = aValue();
  if (one.offset + one.bytes > kArenaOffset) one.offset = kArenaOffset - one.bytes;
  return one;
}

// The fields that matter more often than the rest of the table.
size_t Script::aPlace(size_t& bytes) {
  const uint8_t which = input_.byte();
  bytes = 8;
  const size_t slot = kObjectsOffset + (which & 0xf) * sizeof(ObjectSlot);
  if (which < 0x40) return slot;  // its state
  if (which < 0x80) return slot + 8 * (input_.byte() % (sizeof(ObjectSlot) / 8));
  if (which < 0xa0) {
    bytes = 4;
    return kStoreHeaderOffset + 4 * (which & 0xf);
  }
  if (which < 0xc0) return kStoreHeaderOffset + 8 * (which & 7);
  if (which < 0xe0) return kClientsOffset + 8 * (which & 0x1f);
  bytes = 1 + (which & 7);
  // All that has pages, and the header of the segment.
  if (which < 0xf0) return input_.number(2) % (kObjectsOffset + kPageBytes);
  return kObjectsOffset + input_.number(3) % (kArenaOffset - kObjectsOffset);
}

uint64_t Script::aValue() {
  const uint8_t which = input_.byte();
  const uint64_t some = which >> 4;
  const uint64_t page = some * kPageBytes;
  const uint64_t values[] = {some,
                             page,
                             kCapacityBytes - page,
                             UINT64_MAX - page,
                             kMaxGeneration << 8 | some,
                             (kMaxGeneration + 1) << 8 | some};
  const uint64_t kind = which & 0xf;
  if (kind < std::size(values)) return values[kind];
  if (kind == 6) return input_.number(8);
  if (kind == 7) return input_.byte();
  if (kind == 8) return uint64_t{1} << some * 4;
  // A generation that there is, or one before it or after it, in any state.
  const uint64_t generation = ids_.empty() ? 1 : ids_[some % ids_.size()] / kMaxObjects;
  return (generation + kind - 11) << 8 | input_.byte() % 6;
}

// Reads all of it. It must be pages of the arena in a row; those that were given back are zeros.
void Script::checkBytes(const unsigned char* bytes, uint64_t size_bytes) {
  if (size_bytes > kCapacityBytes) fail("more bytes than the arena has");
  checksum = checksum + crc32c(bytes, size_bytes);
  uint64_t first_page = UINT64_MAX;
  for (uint64_t i = 0; i * kPageBytes + 8 <= size_bytes; i++) {
    uint64_t mark;
    memcpy(&mark, bytes + i * kPageBytes, sizeof mark);
    if (mark == 0) continue;
    const uint64_t page = mark & ~kPageMark;
    if ((mark & kPageMark) != kPageMark || page >= kArenaPages || page < i)
      fail("a view of what is not the arena");
    if (first_page == UINT64_MAX) first_page = page - i;
    if (first_page != page - i) fail("a view of pages that are not in a row");
  }
  if (first_page != UINT64_MAX &&
      first_page + (size_bytes + kPageBytes - 1) / kPageBytes > kArenaPages)
    fail("a view beyond the arena's end");
}

void Script::checkViews(const Attachment& at) {
  for (const auto& [id, view] : at.views) checkBytes(view.bytes, view.size_bytes);
  for (const Filled& filled : at.rooms) {
    const Room& room = filled.room;
    if (!filled.open) continue;
    checkBytes(room.bytes, room.size_bytes);
    if (room.size_bytes > 8) room.bytes[room.size_bytes - 1] ^= room.size_bytes % kPageBytes > 8;
  }
}

}  // namespace
}  // namespace memdrift

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace memdrift;
  static Victim victim;
  Script script(victim, Input(data, size));
  current = &script;
  meddle = [] { current->onLook(); };
  script.run();
  meddle = nullptr;
  return 0;
}
