// SPDX-License-Identifier: MIT
#include "tracker/frame_rule.h"

#include "tracker/eh_frame_reader.h"

namespace memdrift {

namespace {

// Numbers of registers in DWARF for x86-64.
constexpr uint64_t kRbp = 6;
constexpr uint64_t kRsp = 7;

// What is common to many functions (a CIE) and what is of one (an FDE).
struct Frame {
  uint64_t code_step = 1;
  int64_t data_step = 1;
  uint8_t pointers = kAbsolute;
  bool has_augmentation = false;
  uintptr_t common_begin = 0;
  uintptr_t common_end = 0;
  uintptr_t own_begin = 0;
  uintptr_t own_end = 0;
  uintptr_t function = 0;
};

struct Entry {
  uintptr_t begin;  // after its length
  uintptr_t end;
};

Entry entryAt(FrameBytes& bytes_of, uintptr_t at) {
  EhFrameReader from(bytes_of, at);
  uint64_t bytes = from.take<uint32_t>();
  if (bytes == UINT32_MAX) bytes = from.take<uint64_t>();
  return {from.at(), from.at() + bytes};
}

// Compilers write at most this many letters.
constexpr size_t kMostLetters = 16;

bool readCommon(FrameBytes& bytes, uintptr_t at, Frame& frame) {
  const Entry entry = entryAt(bytes, at);
  EhFrameReader from(bytes, entry.begin);
  if (from.take<uint32_t>() != 0) return false;
  const uint8_t version = from.take<uint8_t>();
  if (version != 1 && version != 3) return false;
  char augmentation[kMostLetters] = {};
  for (size_t i = 0; (augmentation[i] = static_cast<char>(from.take<uint8_t>())) != 0; i++)
    if (i == kMostLetters - 1) return false;
  frame.code_step = from.uleb();
  frame.data_step = from.sleb();
  version == 1 ? from.take<uint8_t>() : from.uleb();  // the register of the return address
  uintptr_t program = 0;
  for (const char* letter = augmentation; *letter; letter++) {
    if (*letter == 'z') {
      const uint64_t skip = from.uleb();
      program = from.at() + skip;
      frame.has_augmentation = true;
    } else if (*letter == 'R') {
      frame.pointers = from.take<uint8_t>();
    } else if (*letter == 'P') {
      const uint8_t encoding = from.take<uint8_t>();
      from.pointer(encoding);
    } else if (*letter == 'L') {
      from.take<uint8_t>();
    } else if (*letter != 'S' && *letter != 'B') {
      return false;
    }
  }
  frame.common_begin = program != 0 ? program : from.at();
  frame.common_end = entry.end;
  return !from.hasFailed();
}

// Returns the FDE of the function at `pc`, from the sorted table in .eh_frame_hdr; 0 when there is
// none.
uintptr_t findEntry(FrameBytes& bytes, uintptr_t header, uintptr_t pc) {
  EhFrameReader from(bytes, header);
  if (from.take<uint8_t>() != 1) return 0;
  const uint8_t frame_encoding = from.take<uint8_t>();
  const uint8_t count_encoding = from.take<uint8_t>();
  const uint8_t table_encoding = from.take<uint8_t>();
  if (count_encoding == kOmitted || table_encoding != (kRelativeToTable | kSigned4)) return 0;
  from.pointer(frame_encoding, header);
  const uintptr_t count = from.pointer(count_encoding, header);
  struct Row {
    int32_t function;
    int32_t entry;
  };
  const uintptr_t rows = from.at();
  const auto rowAt = [&](uintptr_t i) {
    Row row = {};
    bytes.read(rows + i * sizeof row, &row, sizeof row);
    return row;
  };
  const auto wanted = static_cast<intptr_t>(pc - header);
  uintptr_t low = 0, high = count;  // the first row beyond pc is in [low, high]
  while (low < high) {
    const uintptr_t middle = low + (high - low) / 2;
    if (rowAt(middle).function <= wanted)
      low = middle + 1;
    else
      high = middle;
  }
  if (low == 0) return 0;
  return header + static_cast<uintptr_t>(static_cast<intptr_t>(rowAt(low - 1).entry));
}

struct Place {
  uintptr_t header;  // of the object's tables
  uintptr_t pc;
};

bool findFrame(FrameBytes& bytes, const Place& place, Frame& frame) {
  const uintptr_t at = findEntry(bytes, place.header, place.pc);
  if (at == 0) return false;
  const Entry entry = entryAt(bytes, at);
  EhFrameReader from(bytes, entry.begin);
  const uintptr_t here = from.at();
  const uint32_t back = from.take<uint32_t>();
  if (back == 0 || !readCommon(bytes, here - back, frame)) return false;
  frame.function = from.pointer(frame.pointers);
  const uintptr_t code_bytes = from.pointer(frame.pointers & 0x0f);
  if (place.pc - frame.function >= code_bytes) return false;
  if (frame.has_augmentation) {
    const uint64_t skip = from.uleb();
    from.skip(skip);
  }
  frame.own_begin = from.at();
  frame.own_end = entry.end;
  return !from.hasFailed();
}

struct Row {
  uint64_t cfa_register = kRsp;
  int64_t cfa_offset = 8;
  bool is_expression = false;
  bool saves_rbp = false;
  int64_t rbp_offset = 0;
  bool has_end = false;  // the return address is not defined: there is no caller
};

constexpr uint64_t kReturnAddress = 16;

// Runs a program of call-frame instructions up to the place `pc`.
class Program {
 public:
  Program(const Frame& frame, uintptr_t pc) : frame_(frame), pc_(pc), at_(frame.function) {}

  // False when it has an instruction that compilers do not make.
  bool run(FrameBytes& bytes, uintptr_t begin, uintptr_t end) {
    EhFrameReader from(bytes, begin);
    while (from.at() < end && at_ <= pc_) {
      const uint8_t code = from.take<uint8_t>();
      if (from.hasFailed() || !step(code, from)) return false;
    }
    return true;
  }
  void keepInitial() { initial_ = row_; }
  const Row& row() const { return row_; }

 private:
  static constexpr int kMostRemembered = 8;

  bool step(uint8_t code, EhFrameReader& from) {
    const uint8_t low = code & 0x3f;
    switch (code >> 6) {
      case 1:
        advance(low);
        return true;
      case 2:
        saved(low, scaled(from.uleb()));
        return true;
      case 3:
        restored(low);
        return true;
      default:
        return plain(code, from);
    }
  }
  bool plain(uint8_t code, EhFrameReader& from);
  bool define(uint8_t code, EhFrameReader& from);
  void advance(uint64_t steps) {
    const uintptr_t next = at_ + steps * frame_.code_step;
    at_ = next;
  }
  // Unsigned, since the values of a damaged table may overflow.
  int64_t scaled(uint64_t steps) const {
    return static_cast<int64_t>(steps * static_cast<uint64_t>(frame_.data_step));
  }
  void saved(uint64_t name, int64_t offset) {
    if (name != kRbp) return;
    row_.saves_rbp = true;
    row_.rbp_offset = offset;
  }
  void restored(uint64_t name) {
    if (name != kRbp) return;
    row_.saves_rbp = initial_.saves_rbp;
    row_.rbp_offset = initial_.rbp_offset;
  }

  const Frame& frame_;
  uintptr_t pc_;
  uintptr_t at_;
  Row row_;
  Row initial_;
  Row remembered_[kMostRemembered];
  int remembered_count_ = 0;
};

// The instructions that are not in the upper two bits: DW_CFA_*, by their numbers.
bool Program::plain(uint8_t code, EhFrameReader& from) {
  switch (code) {
    case 0x00:  // nop
      return true;
    case 0x01:  // set_loc
      at_ = from.pointer(frame_.pointers);
      return true;
    case 0x02:
      advance(from.take<uint8_t>());
      return true;
    case 0x03:
      advance(from.take<uint16_t>());
      return true;
    case 0x04:
      advance(from.take<uint32_t>());
      return true;
    case 0x05: {  // offset_extended
      const uint64_t name = from.uleb();
      saved(name, scaled(from.uleb()));
      return true;
    }
    case 0x06:  // restore_extended
      restored(from.uleb());
      return true;
    case 0x07: {  // undefined
      if (from.uleb() == kReturnAddress) row_.has_end = true;
      return true;
    }
    case 0x08:  // same_value
      if (from.uleb() == kRbp) row_.saves_rbp = false;
      return true;
    case 0x09: {  // register
      const uint64_t name = from.uleb();
      from.uleb();
      return name != kRbp;
    }
    case 0x0a:  // remember_state
      if (remembered_count_ == kMostRemembered) return false;
      remembered_[remembered_count_++] = row_;
      return true;
    case 0x0b:  // restore_state
      if (remembered_count_ == 0) return false;
      row_ = remembered_[--remembered_count_];
      return true;
    case 0x2e:  // GNU_args_size
      from.uleb();
      return true;
    default:
      return define(code, from);
  }
}

bool Program::define(uint8_t code, EhFrameReader& from) {
  switch (code) {
    case 0x0c:  // def_cfa
      row_.cfa_register = from.uleb();
      row_.cfa_offset = static_cast<int64_t>(from.uleb());
      row_.is_expression = false;
      return true;
    case 0x0d:  // def_cfa_register
      row_.cfa_register = from.uleb();
      return true;
    case 0x0e:  // def_cfa_offset
      row_.cfa_offset = static_cast<int64_t>(from.uleb());
      return true;
    case 0x0f: {  // def_cfa_expression
      row_.is_expression = true;
      const uint64_t bytes = from.uleb();
      from.skip(bytes);
      return true;
    }
    case 0x10:    // expression
    case 0x16: {  // val_expression
      const uint64_t name = from.uleb();
      const uint64_t bytes = from.uleb();
      from.skip(bytes);
      return name != kRbp;
    }
    case 0x11: {  // offset_extended_sf
      const uint64_t name = from.uleb();
      saved(name, scaled(static_cast<uint64_t>(from.sleb())));
      return true;
    }
    case 0x12:  // def_cfa_sf
      row_.cfa_register = from.uleb();
      row_.cfa_offset = scaled(static_cast<uint64_t>(from.sleb()));
      row_.is_expression = false;
      return true;
    case 0x13:  // def_cfa_offset_sf
      row_.cfa_offset = scaled(static_cast<uint64_t>(from.sleb()));
      return true;
    default:
      return false;
  }
}

FrameRule ruleOf(const Row& row) {
  FrameRule rule;
  if (row.has_end) {
    rule.kind = FrameRule::Kind::end;
    return rule;
  }
  const bool is_usual =
      row.cfa_register == kRbp && row.cfa_offset == 16 && row.saves_rbp && row.rbp_offset == -16;
  if (row.is_expression || is_usual) return rule;
  rule.kind = row.cfa_register == kRsp   ? FrameRule::Kind::stack_pointer
              : row.cfa_register == kRbp ? FrameRule::Kind::base_pointer
                                         : FrameRule::Kind::end;
  rule.saves_rbp = row.saves_rbp;
  rule.cfa_offset = static_cast<int32_t>(row.cfa_offset);
  rule.rbp_offset = static_cast<int32_t>(row.rbp_offset);
  return rule;
}

}  // namespace

FrameRule frameRule(FrameBytes& bytes, uintptr_t eh_frame_hdr, uintptr_t pc) noexcept {
  Frame frame;
  // The call itself: what it returns to may belong to the next function already.
  const uintptr_t call = pc - 1;
  if (eh_frame_hdr == 0) return {};
  if (!findFrame(bytes, {eh_frame_hdr, call}, frame))
    return bytes.hasFailed() ? FrameRule{FrameRule::Kind::end} : FrameRule{};
  Program program(frame, call);
  const Frame& all = frame;
  if (!program.run(bytes, all.common_begin, all.common_end)) return {FrameRule::Kind::end};
  program.keepInitial();
  if (!program.run(bytes, all.own_begin, all.own_end)) return {FrameRule::Kind::end};
  return ruleOf(program.row());
}

}  // namespace memdrift
