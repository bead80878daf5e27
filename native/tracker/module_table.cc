// SPDX-License-Identifier: MIT
#include "tracker/module_table.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>

namespace memdrift {

namespace {

// Read once, at the start: a filter of system calls that the program installs may forbid
// readlink().
const std::string& executablePath() {
  static const std::string path = [] {
    char text[PATH_MAX];
    const ssize_t size = readlink("/proc/self/exe", text, sizeof text);
    return std::string(text, static_cast<size_t>(std::max<ssize_t>(size, 0)));
  }();
  return path;
}

bool isSame(const Module& one, const Module& other) {
  return one.base == other.base && one.text.begin == other.text.begin &&
         one.text.end == other.text.end && one.path == other.path && one.build_id == other.build_id;
}

const Module* findSame(const std::vector<Module>* modules, const Module& wanted) {
  if (!modules) return nullptr;
  const auto found = std::find_if(modules->begin(), modules->end(),
                                  [&](const Module& one) { return isSame(one, wanted); });
  return found == modules->end() ? nullptr : &*found;
}

struct Collection {
  const std::vector<Module>* before;
  std::vector<Module> modules;
};

int collect(dl_phdr_info* info, size_t, void* data) {
  auto& to = *static_cast<Collection*>(data);
  const LoadedObject object(*info);
  if (object.text.end == object.text.begin) return 0;
  Module module = {
      object.image, object.text, object.base, object.text_file_offset, object.eh_frame_hdr.begin,
      object.name,  "",          nullptr};
  const bool is_executable = to.modules.empty();
  if (is_executable) module.path = executablePath();
  if (object.build_id)
    module.build_id.assign(reinterpret_cast<const char*>(object.build_id), object.build_id_bytes);
  if (const Module* known = findSame(to.before, module))
    module.frames = known->frames;
  else if (!is_executable)
    module.frames = FrameView::open(object, module.path);
  to.modules.push_back(std::move(module));
  return 0;
}

}  // namespace

void ModuleTable::update(const std::function<void(const Module&)>& on_new) {
  const State* before = state_.load(std::memory_order_relaxed);
  Collection now = {before, {}};
  dl_iterate_phdr(collect, &now);
  if (!now.modules.empty()) executable_text_ = now.modules.front().text;
  auto modules = std::make_unique<State>(std::move(now.modules));
  std::sort(modules->begin(), modules->end(),
            [](const Module& a, const Module& b) { return a.text.begin < b.text.begin; });
  bool has_changed = before == nullptr || before->size() != modules->size();
  for (const Module& module : *modules)
    if (!findSame(before, module)) {
      has_changed = true;
      on_new(module);
    }
  if (!has_changed) return;
  state_.store(modules.release(), std::memory_order_release);
  if (!before) return;
  retired_.emplace_back(before);
  generation_.fetch_add(1, std::memory_order_release);
}

const Module* ModuleTable::find(uintptr_t pc) const noexcept {
  const State* state = state_.load(std::memory_order_acquire);
  if (!state) return nullptr;
  const auto beyond =
      std::upper_bound(state->begin(), state->end(), pc,
                       [](uintptr_t at, const Module& m) { return at < m.text.begin; });
  if (beyond == state->begin() || !(beyond - 1)->text.contains(pc)) return nullptr;
  return &*(beyond - 1);
}

}  // namespace memdrift
