// SPDX-License-Identifier: MIT
#include "analysis/record_text.h"

#include <cinttypes>
#include <cstdarg>
#include <cstdio>

namespace memdrift {

namespace {

constexpr size_t kMaxLineBytes = 8192;

// Text of others without what would make two lines of one.
std::string printable(std::string_view text) {
  std::string shown(text);
  for (char& c : shown)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return shown;
}

std::string hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += kDigits[static_cast<unsigned char>(byte) >> 4];
    text += kDigits[byte & 15];
  }
  return text;
}

}  // namespace

std::string RecordText::next(size_t bytes) {
  while (has_more_ && text_.size() < bytes) has_more_ = reader_.readFrame(*this);
  std::string taken;
  taken.swap(text_);
  return taken;
}

void RecordText::line(const char* format, ...) {
  char text[kMaxLineBytes];
  va_list values;
  va_start(values, format);
  const int size = vsnprintf(text, sizeof text, format, values);
  va_end(values);
  text_.append(text, std::min(static_cast<size_t>(size), sizeof text - 1));
  text_ += '\n';
}

double RecordText::ms(uint64_t time_ns) const {
  const uint64_t start = reader_.header().start_monotonic_ns;
  return (static_cast<double>(time_ns) - static_cast<double>(start)) / 1e6;
}

void RecordText::onInfo(std::string_view text) { line("info %s", printable(text).c_str()); }

void RecordText::onThread(const ThreadRecord& thread) {
  line("thread %u %s tid=%u at=%.3fms name=%s", thread.stream,
       thread.state == ThreadState::started ? "started" : "ended", thread.tid, ms(thread.time_ns),
       printable(thread.name).c_str());
}

void RecordText::onModule(const ModuleRecord& module) {
  line("module %#" PRIx64 "-%#" PRIx64 " offset=%#" PRIx64 " build_id=%s path=%s",
       module.start_address, module.end_address, module.file_offset, hex(module.build_id).c_str(),
       printable(module.path).c_str());
}

void RecordText::onCode(const CodeEvent& event) {
  constexpr const char* kKinds[] = {"", "bytecode", "compiled", "wasm"};
  line("code %u %s isolate=%u %s", event.number, kKinds[static_cast<size_t>(event.kind)],
       event.isolate, printable(event.name).c_str());
}

void RecordText::onPlaceLines(const PlaceLines& place) {
  std::string text;
  for (const PlaceLine& at : place.lines) {
    text += text.empty() ? " line=" : ", inlined " + printable(at.function) + " ";
    if (!at.file.empty()) text += printable(at.file) + " line=";
    text += at.line == 0 ? "-" : std::to_string(at.line);
  }
  line("lines code=%u+%#x%s", place.code, place.offset, text.c_str());
}

void RecordText::onJsHeap(const JsHeapProfile& profile, std::string_view) {
  line("jsheap time=%" PRIu64 " functions=%zu", profile.time_ns, profile.nodes.size());
  for (const JsHeapNode& node : profile.nodes)
    line("  %s %s:%u:%u parent=%u bytes=%" PRIu64, printable(profile.texts[node.function]).c_str(),
         printable(profile.texts[node.file]).c_str(), node.line, node.column, node.parent,
         node.bytes);
}

void RecordText::onMemory(const MemoryPayload& memory) {
  std::string text;
#define MEMDRIFT_SHOW(name)                                     \
  text += memory.name == kUnknown ? std::string(" " #name "=-") \
                                  : " " #name "=" + std::to_string(memory.name);
  MEMDRIFT_MEMORY_FIELDS(MEMDRIFT_SHOW)
#undef MEMDRIFT_SHOW
  line("memory at=%.3fms%s", ms(memory.time_ns), text.c_str());
}

void RecordText::onStackResidency(const StackResidency& stack) {
  line("stack_residency %#" PRIx64 " resident_bytes=%" PRIu64, stack.address, stack.resident_bytes);
}

void RecordText::onChild(const ChildRecord& child) {
  line("child at=%.3fms pid=%u parent=%u peak_rss_bytes=%" PRIu64 " node=%u new=%u name=%s",
       ms(child.fixed.time_ns), child.fixed.pid, child.fixed.parent_pid, child.fixed.peak_rss_bytes,
       child.fixed.is_node, child.fixed.is_new, printable(child.name).c_str());
}

void RecordText::onMappingLook(std::span<const MappingResidency> look) {
  line("look mappings=%zu", look.size());
  for (const MappingResidency& one : look) {
    if (one.resident_bytes == kUnknown) return line("  no more looks");
    line("  %#" PRIx64 " bytes=%" PRIu64 " resident_bytes=%" PRIu64, one.address, one.bytes,
         one.resident_bytes);
  }
}

void RecordText::onMarker(uint64_t time_ns, std::string_view label) {
  line("marker at=%.3fms %s", ms(time_ns), printable(label).c_str());
}

void RecordText::onEpoch(const EpochPayload& epoch) {
  line("epoch %" PRIu64 " at=%.3fms", epoch.number, ms(epoch.time_ns));
}

void RecordText::onLosses(const LossPayload& losses) {
  line("losses at=%.3fms dropped_records=%" PRIu64 " lost_threads=%" PRIu64, ms(losses.time_ns),
       losses.dropped_records, losses.lost_threads);
}

void RecordText::onEnd(const EndPayload& end) {
  line("end at=%.3fms event_bytes=%" PRIu64 " dropped_records=%" PRIu64
       " streams=%u reason=%u lost_threads=%" PRIu64,
       ms(end.time_ns), end.event_bytes, end.dropped_records, end.stream_count, end.reason,
       end.lost_threads);
}

void RecordText::onEvent(const Event& event) {
  const uint64_t at = event.address;
  switch (event.type) {
    case EventType::alloc:
      return line("alloc thread=%u %s %#" PRIx64 " bytes=%" PRIu64 " stack=%u", event.stream,
                  kHooks[static_cast<size_t>(event.hook)].name, at, event.bytes, event.node);
    case EventType::free:
      return line("free thread=%u %s %#" PRIx64, event.stream,
                  kHooks[static_cast<size_t>(event.hook)].name, at);
    case EventType::restore:
      return line("restore thread=%u %#" PRIx64, event.stream, at);
    case EventType::map:
      return line("map thread=%u %#" PRIx64 " bytes=%" PRIu64 " protection=%u flags=%#x%s stack=%u",
                  event.stream, at, event.bytes, event.protection, event.flags,
                  event.is_file ? " file" : "", event.node);
    case EventType::unmap:
      return line("unmap thread=%u %#" PRIx64 " bytes=%" PRIu64, event.stream, at, event.bytes);
    case EventType::protect:
      return line("protect thread=%u %#" PRIx64 " bytes=%" PRIu64 " protection=%u stack=%u",
                  event.stream, at, event.bytes, event.protection, event.node);
    case EventType::advise:
      return line("advise thread=%u %#" PRIx64 " bytes=%" PRIu64 " advice=%u", event.stream, at,
                  event.bytes, event.advice);
    case EventType::remap:
      return line("remap thread=%u %#" PRIx64 " bytes=%" PRIu64 " to %#" PRIx64 " bytes=%" PRIu64
                  " stack=%u",
                  event.stream, event.old_address, event.old_bytes, at, event.bytes, event.node);
    case EventType::node:
      if (event.code != 0)
        return line("stack thread=%u %u under=%u code=%u+%" PRIu64, event.stream, event.node,
                    event.parent, event.code, event.place);
      return line("stack thread=%u %u under=%u pc=%#" PRIx64, event.stream, event.node,
                  event.parent, event.place);
    case EventType::stack:
      return line("thread_stack thread=%u %#" PRIx64 " bytes=%" PRIu64 " made_by=%u stack=%u",
                  event.stream, at, event.bytes, event.maker_stream, event.maker_node);
    case EventType::stack_end:
      return line("thread_stack_end thread=%u %#" PRIx64, event.stream, at);
    case EventType::lost:
      return line("lost thread=%u records=%" PRIu64, event.stream, event.count);
    case EventType::weight:
      return line("weight thread=%u bytes=%" PRIu64, event.stream, event.weight);
    default:
      return;
  }
}

}  // namespace memdrift
