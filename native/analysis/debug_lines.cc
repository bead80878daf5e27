// SPDX-License-Identifier: MIT
#include "analysis/debug_lines.h"

#include <unistd.h>

#include <optional>

#include "analysis/debug_unit.h"
#include "analysis/elf_file.h"
#include "analysis/libdw.h"

namespace memdrift {

namespace {

// Reading a unit is cheap, but a file is mapped as a whole and all its units are listed.
constexpr uint64_t kMaxFileBytes = 1ULL << 30;
constexpr uint32_t kMaxUnits = 1'000'000;
constexpr int kReadOnly = 0;  // DWARF_C_READ

std::string hexOf(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text.push_back(kDigits[static_cast<unsigned char>(byte) >> 4]);
    text.push_back(kDigits[static_cast<unsigned char>(byte) & 15]);
  }
  return text;
}

// The file of `wanted`, with debug info; empty: any. Looked up here, since libdw is not needed to
// say no, which is what it says of nearly all files.
bool hasDebugInfo(const std::string& path, const std::string& wanted) {
  const MappedFile mapped(path);
  const ElfFile elf(mapped);
  if (mapped.size() > kMaxFileBytes) return false;
  if (!wanted.empty() && elf.buildId() != wanted) return false;
  return elf.sectionNamed(".debug_info") || elf.sectionNamed(".zdebug_info");
}

// Where gdb looks, too. A file without a build id has no debug info but its own: nothing else says
// that two files belong together.
std::string separateFileOf(const std::string& path, const ElfFile& elf) {
  const std::string build_id = elf.buildId();
  if (build_id.size() < 2) return "";
  const std::string hex = hexOf(build_id);
  std::vector<std::string> candidates = {"/usr/lib/debug/.build-id/" + hex.substr(0, 2) + "/" +
                                         hex.substr(2) + ".debug"};
  if (const Elf64_Shdr* link = elf.sectionNamed(".gnu_debuglink")) {
    const std::string_view bytes = elf.file.part(link->sh_offset, link->sh_size);
    const std::string name(bytes.substr(0, bytes.find('\0')));
    const std::string folder = path.substr(0, path.rfind('/') + 1);
    // A name and nothing else: a path would lead anywhere.
    if (!name.empty() && name.find('/') == std::string::npos)
      for (const std::string& place : {folder, folder + ".debug/", "/usr/lib/debug" + folder})
        candidates.push_back(place + name);
  }
  for (const std::string& one : candidates)
    if (hasDebugInfo(one, build_id)) return one;
  return "";
}

}  // namespace

class DebugLines::Reader {
 public:
  // Null where there is no debug info, or nothing to read it with.
  static std::unique_ptr<Reader> open(const std::string& path, const std::string& build_id) {
    const MappedFile mapped(path);
    if (mapped.size() > kMaxFileBytes) return nullptr;
    const ElfFile elf(mapped);
    if (!build_id.empty() && elf.buildId() != build_id) return nullptr;
    const std::string file = hasDebugInfo(path, build_id) ? path : separateFileOf(path, elf);
    if (file.empty() || !libdw()) return nullptr;
    std::unique_ptr<Reader> reader(new Reader(elf));
    return reader->read(file) ? std::move(reader) : nullptr;
  }
  ~Reader() {
    units_.clear();
    if (handle_) libdw()->dwarf_end(handle_);
    if (fd_ >= 0) close(fd_);
  }
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  std::vector<DebugLine> at(uint64_t file_offset) {
    const auto address = addressOf(file_offset);
    const CodeRange* range = address ? rangeAt(ranges_, *address) : nullptr;
    if (!range) return {};
    auto& unit = units_[range->of];
    if (!unit) unit = std::make_unique<DebugUnit>(roots_[range->of]);
    return unit->at(*address);
  }

 private:
  explicit Reader(const ElfFile& elf) {
    for (const Elf64_Phdr& segment : elf.segments)
      if (segment.p_type == PT_LOAD && (segment.p_flags & PF_X) != 0) code_.push_back(segment);
  }

  // A debug file's own segments do not say where in the object they are.
  std::optional<uint64_t> addressOf(uint64_t offset) const {
    for (const Elf64_Phdr& segment : code_)
      if (offset - segment.p_offset < segment.p_filesz)
        return offset - segment.p_offset + segment.p_vaddr;
    return std::nullopt;
  }

  bool read(const std::string& path) {
    fd_ = openRegularFile(path);
    if (fd_ < 0) return false;
    handle_ = libdw()->dwarf_begin(fd_, kReadOnly);
    if (!handle_) return false;
    uint64_t at = 0;
    uint64_t next = 0;
    size_t header_bytes = 0;
    while (roots_.size() < kMaxUnits && libdw()->dwarf_nextcu(handle_, at, &next, &header_bytes,
                                                              nullptr, nullptr, nullptr) == 0) {
      DwarfEntry root;
      if (libdw()->dwarf_offdie(handle_, at + header_bytes, &root)) {
        if (!addRanges(root, static_cast<uint32_t>(roots_.size()), ranges_)) break;
        roots_.push_back(root);
      }
      if (next <= at) break;
      at = next;
    }
    sortRanges(ranges_);
    units_.resize(roots_.size());
    return !ranges_.empty();
  }

  int fd_ = -1;
  DwarfHandle* handle_ = nullptr;
  std::vector<Elf64_Phdr> code_;
  std::vector<DwarfEntry> roots_;
  std::vector<CodeRange> ranges_;
  std::vector<std::unique_ptr<DebugUnit>> units_;
};

DebugLines::DebugLines(const std::string& path, const std::string& build_id)
    : path_(path), build_id_(build_id) {}

DebugLines::~DebugLines() = default;

std::vector<DebugLine> DebugLines::at(uint64_t file_offset) const {
  if (!is_read_) {
    is_read_ = true;
    reader_ = Reader::open(path_, build_id_);
  }
  return reader_ ? reader_->at(file_offset) : std::vector<DebugLine>{};
}

}  // namespace memdrift
