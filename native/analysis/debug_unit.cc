// SPDX-License-Identifier: MIT
#include "analysis/debug_unit.h"

#include <algorithm>

#include "analysis/demangled_name.h"

namespace memdrift {

namespace {

// Far beyond what compilers write; broken debug info may have any.
constexpr int kMaxDepth = 64;
constexpr int kMaxRangesOfEntry = 10'000;
constexpr size_t kMaxRanges = 4'000'000;

// Calls `visit` with each child of `parent` until it says false.
template <typename Visit>
void eachChild(DwarfEntry parent, const Visit& visit) {
  DwarfEntry child;
  if (libdw()->dwarf_child(&parent, &child) != 0) return;
  do {
    if (!visit(child)) return;
    DwarfEntry next;
    if (libdw()->dwarf_siblingof(&child, &next) != 0) return;
    if (next.unit != child.unit || next.address <= child.address) return;
    child = next;
  } while (true);
}

const char* textOf(DwarfEntry entry, unsigned name) {
  DwarfAttribute attribute;
  if (!libdw()->dwarf_attr_integrate(&entry, name, &attribute)) return nullptr;
  return libdw()->dwarf_formstring(&attribute);
}

const char* linkageNameOf(DwarfEntry entry) {
  const char* name = textOf(entry, kAttributeLinkageName);
  return name ? name : textOf(entry, kAttributeOldLinkageName);
}

uint32_t numberOf(DwarfEntry entry, unsigned name) {
  DwarfAttribute attribute;
  uint64_t number = 0;
  if (!libdw()->dwarf_attr(&entry, name, &attribute)) return 0;
  if (libdw()->dwarf_formudata(&attribute, &number) != 0 || number > UINT32_MAX) return 0;
  return static_cast<uint32_t>(number);
}

// Follows one reference; false where there is none.
bool follow(DwarfEntry& entry, unsigned name) {
  DwarfAttribute attribute;
  DwarfEntry target;
  if (!libdw()->dwarf_attr(&entry, name, &attribute)) return false;
  if (!libdw()->dwarf_formref_die(&attribute, &target)) return false;
  entry = target;
  return true;
}

bool isScope(int tag) {
  return tag == kTagNamespace || tag == kTagClass || tag == kTagStructure || tag == kTagUnion ||
         tag == kTagModule;
}

bool isBlock(int tag) {
  return tag == kTagLexicalBlock || tag == kTagTryBlock || tag == kTagCatchBlock;
}

}  // namespace

bool addRanges(DwarfEntry entry, uint32_t of, std::vector<CodeRange>& ranges) {
  uint64_t base = 0;
  uint64_t begin = 0;
  uint64_t end = 0;
  ptrdiff_t at = 0;
  for (int i = 0; i < kMaxRangesOfEntry; i++) {
    at = libdw()->dwarf_ranges(&entry, at, &base, &begin, &end);
    if (at <= 0) return true;
    if (ranges.size() >= kMaxRanges) return false;
    // A function that the linker left out is at 0, or at 1 in a list, or at the very end.
    if (begin > 1 && begin < end) ranges.push_back({begin, end, of});
  }
  return true;
}

void sortRanges(std::vector<CodeRange>& ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const CodeRange& a, const CodeRange& b) { return a.begin < b.begin; });
}

const CodeRange* rangeAt(const std::vector<CodeRange>& ranges, uint64_t address) {
  auto beyond = std::upper_bound(ranges.begin(), ranges.end(), address,
                                 [](uint64_t at, const CodeRange& one) { return at < one.begin; });
  if (beyond == ranges.begin()) return nullptr;
  --beyond;
  return address < beyond->end ? &*beyond : nullptr;
}

DebugUnit::DebugUnit(const DwarfEntry& root) : lines_root_(root), functions_root_(root) {
  DwarfEntry split;
  if (libdw()->dwarf_cu_info(root.unit, nullptr, nullptr, nullptr, &split, nullptr, nullptr,
                             nullptr) == 0 &&
      split.address)
    functions_root_ = split;
  collect({nullptr, functions_root_, 0});
  sortRanges(ranges_);
}

void DebugUnit::collect(const Scope& scope) {
  if (scope.depth > kMaxDepth) return;
  eachChild(scope.entry, [&](DwarfEntry child) {
    const int tag = libdw()->dwarf_tag(&child);
    if (tag != kTagSubprogram && !isScope(tag) && !isBlock(tag)) return true;
    // An entry leads past its children by an offset in the file, which may be wrong: no entry is
    // visited twice.
    const auto* at = static_cast<const char*>(child.address);
    if (at <= furthest_) return false;
    furthest_ = at;
    if (tag == kTagSubprogram) addFunction(child, scope);
    collect({&scope, child, scope.depth + 1});
    return true;
  });
}

void DebugUnit::addFunction(DwarfEntry entry, const Scope& scope) {
  DwarfAttribute attribute;
  if (scope.outer && libdw()->dwarf_attr(&entry, kAttributeName, &attribute) &&
      !linkageNameOf(entry))
    prefixes_.try_emplace(libdw()->dwarf_dieoffset(&entry), prefixOf(scope));
  const size_t before = ranges_.size();
  addRanges(entry, static_cast<uint32_t>(functions_.size()), ranges_);
  if (ranges_.size() != before) functions_.push_back(entry);
}

// "memdrift::(anonymous namespace)::".
std::string DebugUnit::prefixOf(const Scope& scope) const {
  if (!scope.outer) return "";
  DwarfEntry entry = scope.entry;
  const int tag = libdw()->dwarf_tag(&entry);
  if (tag == kTagSubprogram) return nameOf(entry) + "::";
  const std::string outer = prefixOf(*scope.outer);
  if (isBlock(tag)) return outer;
  if (const char* name = textOf(entry, kAttributeName)) return outer + name + "::";
  return outer + (tag == kTagNamespace ? "(anonymous namespace)::" : "{unnamed type}::");
}

// From without; those that were compiled into `function` where the address is.
std::vector<DwarfEntry> DebugUnit::inlinedAt(DwarfEntry function, uint64_t address) const {
  std::vector<DwarfEntry> chain;
  DwarfEntry inside = function;
  bool is_deeper = true;
  for (int depth = 0; is_deeper && depth < kMaxDepth * 4; depth++) {
    is_deeper = false;
    eachChild(inside, [&](DwarfEntry child) {
      const int tag = libdw()->dwarf_tag(&child);
      const bool is_inlined = tag == kTagInlinedSubroutine;
      if (!is_inlined && !isBlock(tag)) return true;
      if (libdw()->dwarf_haspc(&child, address) <= 0) return true;
      if (is_inlined) chain.push_back(child);
      inside = child;
      is_deeper = true;
      return false;
    });
  }
  return chain;
}

std::string DebugUnit::nameOf(DwarfEntry function) const {
  if (const char* name = linkageNameOf(function)) return demangledName(name);
  const char* name = textOf(function, kAttributeName);
  if (!name) return "";
  DwarfEntry origin = function;
  for (int i = 0; i < kMaxDepth && origin.unit == functions_root_.unit; i++) {
    const auto prefix = prefixes_.find(libdw()->dwarf_dieoffset(&origin));
    if (prefix != prefixes_.end()) return prefix->second + name;
    if (!follow(origin, kAttributeAbstractOrigin) && !follow(origin, kAttributeSpecification))
      break;
  }
  return name;
}

DebugUnit::Position DebugUnit::positionOf(uint64_t address) const {
  DwarfEntry root = lines_root_;
  DwarfLine* line = libdw()->dwarf_getsrc_die(&root, address);
  if (!line) return {};
  const char* file = libdw()->dwarf_linesrc(line, nullptr, nullptr);
  int number = 0;
  int column = 0;
  if (libdw()->dwarf_lineno(line, &number) != 0) number = 0;
  if (libdw()->dwarf_linecol(line, &column) != 0) column = 0;
  return {file ? file : "", static_cast<uint32_t>(std::max(number, 0)),
          static_cast<uint32_t>(std::max(column, 0))};
}

DebugUnit::Position DebugUnit::callOf(DwarfEntry inlined) const {
  DwarfEntry root = functions_root_;
  DwarfFiles* files = nullptr;
  size_t count = 0;
  const char* file = nullptr;
  if (libdw()->dwarf_getsrcfiles(&root, &files, &count) == 0)
    file = libdw()->dwarf_filesrc(files, numberOf(inlined, kAttributeCallFile), nullptr, nullptr);
  return {file ? file : "", numberOf(inlined, kAttributeCallLine),
          numberOf(inlined, kAttributeCallColumn)};
}

std::vector<DebugLine> DebugUnit::at(uint64_t address) const {
  std::vector<DebugLine> lines;
  Position position = positionOf(address);
  const auto add = [&](const std::string& function, bool is_inlined) {
    lines.push_back({function, position.file, position.line, position.column, is_inlined});
  };
  const CodeRange* range = rangeAt(ranges_, address);
  if (!range) {
    if (position.line != 0) add("", false);
    return lines;
  }
  const DwarfEntry function = functions_[range->of];
  const std::vector<DwarfEntry> chain = inlinedAt(function, address);
  for (size_t i = chain.size(); i-- > 0;) {
    add(nameOf(chain[i]), true);
    position = callOf(chain[i]);
  }
  add(nameOf(function), false);
  return lines;
}

}  // namespace memdrift
