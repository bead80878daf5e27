// SPDX-License-Identifier: MIT
#include "analysis/program_code.h"

#include "analysis/code_names.h"

namespace memdrift {

namespace {

constexpr uint32_t kDenseCodes = 1 << 24;

StackFrame nativeFrame(const std::string& function, const std::string& object) {
  return {function, object, 0, 0, 0, false, true, object};
}

}  // namespace

// Many isolates have millions of codes: dense numbers are indices of a vector.
void ProgramCode::add(const CodeEvent& event) {
  const auto [found, is_new] = firsts_.try_emplace(std::string(event.name), event.number);
  if (is_new) names_[event.number] = &found->first;
  if (event.number >= kDenseCodes) {
    firsts_of_high_codes_[event.number] = found->second;
    return;
  }
  if (event.number >= firsts_of_codes_.size()) firsts_of_codes_.resize(event.number + 1);
  firsts_of_codes_[event.number] = found->second;
}

const uint32_t* ProgramCode::firstOf(uint32_t code) const {
  if (code >= kDenseCodes) {
    const auto found = firsts_of_high_codes_.find(code);
    return found == firsts_of_high_codes_.end() ? nullptr : &found->second;
  }
  const bool is_known = code < firsts_of_codes_.size() && firsts_of_codes_[code] != 0;
  return is_known ? &firsts_of_codes_[code] : nullptr;
}

// Code that has no name yet keeps its own number.
void ProgramCode::join(Event& node) const {
  const uint32_t* first = joins_places_ ? firstOf(node.code) : nullptr;
  if (!first) return;
  node.code = *first;
  node.place = 0;
}

void ProgramCode::add(const ModuleRecord& module) {
  modules_[module.start_address] = {module.end_address, module.file_offset,
                                    std::string(module.path), std::string(module.build_id)};
}

void ProgramCode::add(const PlaceLines& place) {
  std::vector<Line>& lines = lines_[{place.code, place.offset}];
  lines.clear();
  for (const PlaceLine& one : place.lines)
    lines.push_back({one.line, std::string(one.function), std::string(one.file)});
}

const std::vector<ProgramCode::Line>* ProgramCode::linesAt(const StackNode& node) const {
  if (node.code == 0 || lines_.empty()) return nullptr;
  const auto found = lines_.find({node.code, node.place});
  return found == lines_.end() ? nullptr : &found->second;
}

ProgramCode::Key ProgramCode::keyOf(const StackNode& node) const {
  // Places in the same piece of V8's code are the same function, unless their lines are known.
  return {node.code, node.code == 0 || linesAt(node) ? node.place : 0};
}

std::vector<StackFrame> ProgramCode::framesAt(const StackNode& node) const {
  if (node.code == 0) return nativeFramesAt(node.place);
  std::vector<StackFrame> frames;
  StackFrame outer = jsFrameOf(node);
  if (const std::vector<Line>* lines = linesAt(node)) {
    outer.line = (*lines)[0].line;
    for (size_t i = lines->size(); --i > 0;) {
      const Line& inlined = (*lines)[i];
      frames.push_back({inlined.function, inlined.file, 0, 0, inlined.line, true, false});
    }
  }
  frames.push_back(std::move(outer));
  return frames;
}

StackFrame ProgramCode::jsFrameOf(const StackNode& node) const {
  const uint32_t* first = firstOf(node.code);
  const auto name = names_.find(first ? *first : 0);
  if (name == names_.end()) return {};
  const FunctionName known = functionNameOf(*name->second);
  return {known.function, known.file, known.line, known.column, 0, false, !known.is_js};
}

std::vector<StackFrame> ProgramCode::nativeFramesAt(uint64_t pc) const {
  if (pc == 0) return {nativeFrame("(older frames)", "")};
  auto beyond = modules_.upper_bound(pc - 1);
  if (beyond == modules_.begin()) return {nativeFrame("", "")};
  const auto& [start, module] = *--beyond;
  if (pc - 1 >= module.end) return {nativeFrame("", "")};
  auto& object = objects_[module.path];
  if (!object) object = std::make_unique<NativeObject>(module.path, module.build_id);
  const uint64_t offset = pc - 1 - start + module.file_offset;
  StackFrame whole = nativeFrame(object->symbols.nameAt(offset), module.path);
  std::vector<StackFrame> frames;
  for (const DebugLine& one : object->lines.at(offset)) {
    const bool has_place = one.line != 0 && !one.file.empty();
    frames.push_back({one.function, has_place ? one.file : module.path, 0, 0,
                      has_place ? one.line : 0, one.is_inlined, true, module.path});
  }
  if (frames.empty()) return {std::move(whole)};
  // The linker's name tells parameters where debug info does not: of static functions.
  if (!whole.function.empty()) frames.back().function = std::move(whole.function);
  return frames;
}

}  // namespace memdrift
