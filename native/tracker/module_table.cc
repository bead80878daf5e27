// SPDX-License-Identifier: MIT
#include "tracker/module_table.h"

#include <limits.h>
#include <unistd.h>

#include <algorithm>

namespace memdrift {

namespace {

std::string executablePath() {
  char path[PATH_MAX];
  const ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  return std::string(path, static_cast<size_t>(std::max<ssize_t>(size, 0)));
}

int collect(dl_phdr_info* info, size_t, void* data) {
  auto& modules = *static_cast<std::vector<Module>*>(data);
  const LoadedObject object(*info);
  if (object.text.end == object.text.begin) return 0;
  Module module = {object.image,        object.text, object.base, object.text_file_offset,
                   object.eh_frame_hdr, object.name, ""};
  if (modules.empty()) module.path = executablePath();
  if (object.build_id)
    module.build_id.assign(reinterpret_cast<const char*>(object.build_id), object.build_id_bytes);
  modules.push_back(std::move(module));
  return 0;
}

bool isSame(const Module& one, const Module& other) {
  return one.base == other.base && one.text.begin == other.text.begin &&
         one.text.end == other.text.end && one.path == other.path && one.build_id == other.build_id;
}

}  // namespace

void ModuleTable::update(const std::function<void(const Module&)>& on_new) {
  auto modules = std::make_unique<State>();
  dl_iterate_phdr(collect, modules.get());
  if (!modules->empty()) executable_text_ = modules->front().text;
  std::sort(modules->begin(), modules->end(),
            [](const Module& a, const Module& b) { return a.text.begin < b.text.begin; });
  const State* before = state_.load(std::memory_order_relaxed);
  const auto isIn = [](const State& state, const Module& module) {
    return std::any_of(state.begin(), state.end(),
                       [&](const Module& other) { return isSame(module, other); });
  };
  bool has_new = before == nullptr;
  for (const Module& module : *modules)
    if (!before || !isIn(*before, module)) {
      has_new = true;
      on_new(module);
    }
  const bool has_lost = before && std::any_of(before->begin(), before->end(),
                                              [&](const Module& m) { return !isIn(*modules, m); });
  if (!has_new && !has_lost) return;
  state_.store(modules.get(), std::memory_order_release);
  states_.push_back(std::move(modules));
  if (before) generation_.fetch_add(1, std::memory_order_release);
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
