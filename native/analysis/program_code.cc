// SPDX-License-Identifier: MIT
#include "analysis/program_code.h"

#include "analysis/code_names.h"

namespace memdrift {

namespace {

StackFrame nativeFrame(const std::string& function, const std::string& object) {
  return {function, object, 0, 0, 0, false, true};
}

}  // namespace

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
  std::vector<StackFrame> frames;
  StackFrame outer = frameOf(node);
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

StackFrame ProgramCode::frameOf(const StackNode& node) const {
  if (node.code != 0) {
    const auto name = names_.find(node.code);
    if (name == names_.end()) return {};
    const FunctionName known = functionNameOf(name->second);
    return {known.function, known.file, known.line, known.column, 0, false, !known.is_js};
  }
  return node.place == 0 ? nativeFrame("(older frames)", "") : nativeFrameAt(node.place);
}

StackFrame ProgramCode::nativeFrameAt(uint64_t pc) const {
  auto beyond = modules_.upper_bound(pc - 1);
  if (beyond == modules_.begin()) return nativeFrame("", "");
  const auto& [start, module] = *--beyond;
  if (pc - 1 >= module.end) return nativeFrame("", "");
  auto& symbols = symbols_[module.path];
  if (!symbols) symbols = std::make_unique<ElfSymbols>(module.path, module.build_id);
  return nativeFrame(symbols->nameAt(pc - 1 - start + module.file_offset), module.path);
}

}  // namespace memdrift
