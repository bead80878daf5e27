// SPDX-License-Identifier: MIT
#include "tracker/isolates.h"

#include <algorithm>
#include <string_view>

#include "tracker/reentry.h"

namespace memdrift {

using v8_api::JitCodeEvent;

Isolates& Isolates::instance() {
  // Never destroyed: V8 may still report code while the process ends.
  static auto* isolates = new Isolates;
  return *isolates;
}

void Isolates::start() {
  const std::lock_guard hold(lock_);
  is_on_ = true;
  for (TrackedIsolate* one : attached_) one->is_told = false;
}

void Isolates::stop() {
  const v8_api::Api* api = v8_api::api();
  v8_api::Isolate* own = api ? api->tryGetCurrent() : nullptr;
  bool has_own = false;
  {
    const std::lock_guard hold(lock_);
    is_on_ = false;
    code_.clear();
    for (TrackedIsolate* one : attached_) {
      if (one->isolate == own)
        has_own = true;
      else
        api->requestInterrupt(one->isolate, onInterruptToStop, nullptr);
    }
  }
  if (has_own) onInterruptToStop(own, nullptr);
}

// On the isolate's thread. A start may have come in between: then it stays as it is.
void Isolates::onInterruptToStop(v8_api::Isolate* isolate, void*) {
  const NoReentry guard;
  Isolates& self = instance();
  TrackedIsolate* found = nullptr;
  {
    const std::lock_guard hold(self.lock_);
    if (self.is_on_) return;
    found = self.find(isolate);
    if (!found) return;
    std::erase(self.attached_, found);
  }
  const v8_api::Api* api = v8_api::api();
  found->lines.stop();
  api->setJitCodeEventHandler(isolate, v8_api::kDefault, nullptr);
  api->removeCleanupHook(isolate, onCleanup, found);
}

TrackedIsolate* Isolates::attach(v8_api::Isolate* isolate) {
  const v8_api::Api* api = v8_api::api();
  // Without an environment nobody would say when the isolate ends.
  if (!api || !isolate || !api->currentEventLoop(isolate)) return nullptr;
  TrackedIsolate* one = nullptr;
  bool is_known = true;
  {
    const std::lock_guard hold(lock_);
    if (!is_on_) return nullptr;
    one = find(isolate);
    // V8's own threads have the isolate that they compile for, and ask for it as well.
    if (one && one->is_told) return one;
    if (!one) {
      is_known = false;
      one = unused();
      one->isolate = isolate;
      one->number = ++last_number_;
      one->has_numbers.store(false, std::memory_order_relaxed);
      one->is_asked.store(false, std::memory_order_relaxed);
      one->is_asked_for_lines.store(false, std::memory_order_relaxed);
      attached_.push_back(one);
    }
    one->is_told = true;
    one->generation.fetch_add(1, std::memory_order_relaxed);
  }
  void* code = nullptr;
  size_t code_bytes = 0;
  api->getCodeRange(isolate, &code, &code_bytes);
  const auto begin = reinterpret_cast<uintptr_t>(code);
  one->code.range = {begin, begin + code_bytes};
  // Again for one that a start found attached: the new capture has none of its code yet.
  api->setJitCodeEventHandler(isolate, v8_api::kEnumerateExisting, onCode);
  if (!is_known) api->addCleanupHook(isolate, onCleanup, one);
  return one;
}

void Isolates::requestAttach(v8_api::Isolate* isolate, void (*done)(TrackedIsolate*)) {
  v8_api::api()->requestInterrupt(isolate, onInterrupt, reinterpret_cast<void*>(done));
}

void Isolates::onInterrupt(v8_api::Isolate* isolate, void* data) {
  const NoReentry guard;
  reinterpret_cast<void (*)(TrackedIsolate*)>(data)(instance().attach(isolate));
}

void Isolates::onCleanup(void* data) {
  const NoReentry guard;
  auto* one = static_cast<TrackedIsolate*>(data);
  Isolates& self = instance();
  self.tellLines(*one);
  one->lines.stop();
  std::function<void(TrackedIsolate*)> on_end;
  {
    const std::lock_guard hold(self.lock_);
    std::erase(self.attached_, one);
    self.code_.dropIsolate(one->number);
    on_end = self.on_end_;
  }
  if (on_end) on_end(one);
}

// One that no isolate has any more, or a new one.
TrackedIsolate* Isolates::unused() {
  for (const auto& one : all_)
    if (std::find(attached_.begin(), attached_.end(), one.get()) == attached_.end())
      return one.get();
  all_.push_back(std::make_unique<TrackedIsolate>());
  return all_.back().get();
}

void Isolates::askForNumbers() {
  const v8_api::Api* api = v8_api::api();
  if (!api || !api->getHeapStatistics) return;
  const std::lock_guard hold(lock_);
  for (TrackedIsolate* one : attached_)
    if (!one->is_asked.exchange(true))
      api->requestInterrupt(one->isolate, onInterruptForNumbers, one);
}

// Attached isolates are never freed, so that `data` is one even when its isolate is another now.
void Isolates::onInterruptForNumbers(v8_api::Isolate* isolate, void* data) {
  const NoReentry guard;
  auto* one = static_cast<TrackedIsolate*>(data);
  v8_api::HeapStatistics numbers = {};
  v8_api::api()->getHeapStatistics(isolate, &numbers);
  one->heap_total_bytes.store(numbers.total_heap_size, std::memory_order_relaxed);
  one->heap_used_bytes.store(numbers.used_heap_size, std::memory_order_relaxed);
  one->external_bytes.store(numbers.external_memory, std::memory_order_relaxed);
  one->has_numbers.store(true, std::memory_order_release);
  one->is_asked.store(false, std::memory_order_release);
}

HeapNumbers Isolates::heapNumbers() const {
  const std::lock_guard hold(lock_);
  HeapNumbers sum = {0, 0, 0};
  for (const TrackedIsolate* one : attached_) {
    if (!one->has_numbers.load(std::memory_order_acquire)) return {};
    sum.total_bytes += one->heap_total_bytes.load(std::memory_order_relaxed);
    sum.used_bytes += one->heap_used_bytes.load(std::memory_order_relaxed);
    sum.external_bytes += one->external_bytes.load(std::memory_order_relaxed);
  }
  return attached_.empty() ? HeapNumbers{} : sum;
}

uint64_t Isolates::otherHeapBytes() const {
  const std::lock_guard hold(lock_);
  if (attached_.empty()) return kUnknown;
  const v8_api::Isolate* own = v8_api::api()->tryGetCurrent();
  uint64_t sum = 0;
  for (const TrackedIsolate* one : attached_) {
    if (one->isolate == own) continue;
    if (!one->has_numbers.load(std::memory_order_acquire)) return kUnknown;
    sum += one->heap_total_bytes.load(std::memory_order_relaxed);
  }
  return sum;
}

void Isolates::onLines(std::function<void(const std::string&)> callback) {
  const std::lock_guard hold(lines_lock_);
  on_lines_ = std::move(callback);
}

void Isolates::tellLines(TrackedIsolate& isolate) {
  if (!isolate.lines.hasSamples()) return;
  const std::lock_guard hold(lines_lock_);
  if (!on_lines_) return;
  const std::string records = isolate.lines.take(code_);
  if (!records.empty()) on_lines_(records);
}

bool Isolates::askForLines() {
  const v8_api::Api* api = v8_api::api();
  if (!api) return true;
  v8_api::Isolate* own = api->tryGetCurrent();
  TrackedIsolate* mine = nullptr;
  bool has_all = true;
  {
    const std::lock_guard hold(lock_);
    for (TrackedIsolate* one : attached_) {
      if (!one->lines.hasSamples()) continue;
      if (one->isolate == own) {
        mine = one;
        continue;
      }
      has_all = false;
      if (!one->is_asked_for_lines.exchange(true))
        api->requestInterrupt(one->isolate, onInterruptForLines, one);
    }
  }
  if (mine) tellLines(*mine);
  return has_all;
}

void Isolates::onInterruptForLines(v8_api::Isolate* isolate, void* data) {
  const NoReentry guard;
  auto* one = static_cast<TrackedIsolate*>(data);
  one->is_asked_for_lines.store(false);
  if (one->isolate == isolate) instance().tellLines(*one);
}

uint64_t Isolates::missedLines() const {
  const std::lock_guard hold(lock_);
  uint64_t sum = 0;
  for (const TrackedIsolate* one : attached_) sum += one->lines.missed();
  return sum;
}

uint32_t Isolates::count() const {
  const std::lock_guard hold(lock_);
  return static_cast<uint32_t>(attached_.size());
}

TrackedIsolate* Isolates::find(const v8_api::Isolate* isolate) const {
  const auto found =
      std::find_if(attached_.begin(), attached_.end(),
                   [&](const TrackedIsolate* one) { return one->isolate == isolate; });
  return found == attached_.end() ? nullptr : *found;
}

// Called by V8 wherever it makes or moves code, on threads of its garbage collector too, while the
// isolate's own thread stands still: no call into V8 here.
void Isolates::onCode(const JitCodeEvent* event) {
  if (event->type > JitCodeEvent::kRemoved) return;  // lines
  const NoReentry guard;
  Isolates& self = instance();
  const std::lock_guard hold(self.lock_);
  if (!self.is_on_) return;
  if (TrackedIsolate* isolate = self.find(event->isolate)) self.addCode(*event, *isolate);
}

void Isolates::addCode(const JitCodeEvent& event, TrackedIsolate& isolate) {
  bool is_reused = false;
  if (event.type == JitCodeEvent::kAdded) {
    noteInterpreter(event, isolate);
    const CodeRange range = {isolate.number, event.code_start, event.code_bytes};
    const std::string_view name(event.name.text, event.name.bytes);
    // V8 counts its kinds of code from 0.
    is_reused = code_.add(range, static_cast<CodeKind>(event.code_type + 1), name);
  } else if (event.type == JitCodeEvent::kMoved) {
    is_reused = code_.move(event.code_start, event.new_code_start);
  } else {
    code_.remove(event.code_start);
  }
  if (is_reused) isolate.generation.fetch_add(1, std::memory_order_release);
}

void Isolates::noteInterpreter(const JitCodeEvent& event, TrackedIsolate& isolate) {
  constexpr std::string_view kEntry = "Builtin:InterpreterEntryTrampoline";
  constexpr std::string_view kHandler = "BytecodeHandler:";
  const std::string_view name(event.name.text, event.name.bytes);
  const Range range = {event.code_start, event.code_start + event.code_bytes};
  InterpreterCode& code = isolate.code.interpreter;
  if (name == kEntry) code.entry = range;
  if (!name.starts_with(kHandler)) return;
  if (code.handlers.end == 0) code.handlers = range;
  code.handlers.begin = std::min(code.handlers.begin, range.begin);
  code.handlers.end = std::max(code.handlers.end, range.end);
}

}  // namespace memdrift
