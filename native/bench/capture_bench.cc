// SPDX-License-Identifier: MIT
// Not shipped. bench/analysis.mjs compiles it: captures of a known kind, written by the real
// writer, and what it takes to read them.
//   capture_bench write FILE EVENTS    100,000 live blocks of 10,000 stacks, two threads, a fifth
//                                      of the blocks freed by the thread that did not make them
//   capture_bench read FILE            prints {"readMs":…}: records decoded and put in order
//   capture_bench peak FILE            prints {"peakMs":…,"rows":…,"ownBytes":…}: the table of the
//                                      peak, and by how much RSS grew at most
#include <algorithm>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "analysis/allocation_table.h"
#include "capture/capture_writer.h"

namespace memdrift {
namespace {

constexpr size_t kLive = 100'000;
constexpr uint32_t kStacks = 10'000;
constexpr uint32_t kFunctions = 2'000;
constexpr size_t kBatch = 512;

// Places of blocks from one thread to the other, and back when they are free.
class Exchange {
 public:
  void put(std::vector<size_t>& batch) {
    std::unique_lock hold(lock_);
    changed_.wait(hold, [&] { return full_.size() < 4; });
    full_.push_back(std::move(batch));
    batch.clear();
    changed_.notify_all();
  }
  // Empty at the end.
  std::vector<size_t> take() {
    std::unique_lock hold(lock_);
    changed_.wait(hold, [&] { return !full_.empty() || is_closed_; });
    if (full_.empty()) return {};
    std::vector<size_t> batch = std::move(full_.back());
    full_.pop_back();
    changed_.notify_all();
    return batch;
  }
  void giveBack(const std::vector<size_t>& batch) {
    const std::lock_guard hold(lock_);
    free_.insert(free_.end(), batch.begin(), batch.end());
  }
  void takeFree(std::vector<size_t>& to) {
    const std::lock_guard hold(lock_);
    to.insert(to.end(), free_.begin(), free_.end());
    free_.clear();
  }
  void close() {
    const std::lock_guard hold(lock_);
    is_closed_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex lock_;
  std::condition_variable changed_;
  std::vector<std::vector<size_t>> full_;
  std::vector<size_t> free_;
  bool is_closed_ = false;
};

constexpr uint64_t addressOf(size_t place) { return 0x7f00'0000'0000 + place * 16 * 67; }

// Outermost first a dozen common callers, then 5 to 40 functions each.
std::vector<uint32_t> makeStacks(ThreadStream& stream, std::mt19937_64& random) {
  std::vector<uint32_t> stacks;
  std::vector<uint32_t> inner = {0};
  while (stacks.size() < kStacks) {
    uint32_t node = inner[random() % inner.size()];
    const size_t depth = 1 + random() % 4;
    for (size_t i = 0; i < depth; i++) {
      node = stream.node({node, static_cast<uint32_t>(1 + random() % kFunctions), random() % 500});
      inner.push_back(node);
    }
    stacks.push_back(node);
  }
  return stacks;
}

// Told once, with the first stacks.
std::string names() {
  std::string text;
  for (uint32_t i = 1; i <= kFunctions; i++)
    putCode({i, CodeKind::bytecode, 1,
             "JS:~function" + std::to_string(i) + " /app/src/file" + std::to_string(i % 97) +
                 ".js:" + std::to_string(i) + ":3"},
            text);
  return text;
}

void freeAll(StreamSet& streams, Exchange& exchange) {
  ThreadStream* stream = streams.open(2);
  for (;;) {
    const std::vector<size_t> batch = exchange.take();
    if (batch.empty()) break;
    for (const size_t place : batch) stream->free({HookId::k_free, addressOf(place)});
    exchange.giveBack(batch);
  }
  streams.close(stream);
}

void allocate(ThreadStream& stream, Exchange& exchange, uint64_t events) {
  std::mt19937_64 random(1);
  const std::vector<uint32_t> stacks = makeStacks(stream, random);
  std::vector<size_t> live, free, for_other;
  size_t next_place = 0;
  for (uint64_t done = 0; done < events; done++) {
    if (live.size() < kLive) {
      if (free.empty()) exchange.takeFree(free);
      if (free.empty()) free.push_back(next_place++);
      const size_t place = free.back();
      free.pop_back();
      live.push_back(place);
      stream.alloc(
          {HookId::k_malloc, stacks[random() % kStacks], addressOf(place), 16 + random() % 1024});
      continue;
    }
    // Most blocks do not live long.
    const size_t back = random() % 4 == 0 ? random() % live.size() : random() % 16;
    std::swap(live[live.size() - 1 - back], live.back());
    const size_t place = live.back();
    live.pop_back();
    if (random() % 5 == 0) {
      for_other.push_back(place);
      if (for_other.size() == kBatch) exchange.put(for_other);
    } else {
      stream.free({HookId::k_free, addressOf(place)});
      free.push_back(place);
    }
  }
  if (!for_other.empty()) exchange.put(for_other);
}

int write(const char* path, uint64_t events) {
  CaptureOptions options;
  options.path = path;
  options.info = "{\"role\":\"bench\"}";
  bool is_told = false;
  options.take_code = [&] { return std::exchange(is_told, true) ? std::string() : names(); };
  options.limits.max_bytes = 512 << 20;  // nothing is to be dropped on a busy machine
  CaptureWriter writer(options);
  writer.start();
  Exchange exchange;
  std::thread other([&] { freeAll(writer.streams(), exchange); });
  ThreadStream* stream = writer.streams().open(1);
  allocate(*stream, exchange, events);
  exchange.close();
  other.join();
  writer.streams().close(stream);
  const uint64_t dropped = writer.streams().dropped();
  writer.stop();
  if (dropped != 0) fprintf(stderr, "%llu dropped\n", static_cast<unsigned long long>(dropped));
  return dropped == 0 ? 0 : 1;
}

double milliseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

uint64_t statusBytes(const char* field) {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.rfind(field, 0) == 0)
      return std::strtoull(line.c_str() + strlen(field), nullptr, 10) << 10;
  return 0;
}

struct Count final : CaptureVisitor {
  void onEvent(const Event& event) override { sum += event.address; }
  void onBlocks(const BlockEvents& events) override {
    for (const BlockEvent& block : events.blocks) sum += block.address;
  }
  uint64_t sum = 0;
};

int read(const char* path) {
  const double start = milliseconds();
  CaptureReader reader(path);
  Count count;
  reader.readAll(count);
  printf("{\"readMs\":%.1f,\"sum\":%llu}\n", milliseconds() - start,
         static_cast<unsigned long long>(count.sum));
  return reader.damage().empty() ? 0 : 1;
}

int peak(const char* path) {
  const uint64_t before = statusBytes("VmRSS:");
  const double start = milliseconds();
  const CaptureAnalysis analysis(path);
  const double replayed = milliseconds();
  const AllocationTable table = analysis.table(Moment::peak);
  const double end = milliseconds();
  printf(
      "{\"peakMs\":%.1f,\"tableMs\":%.1f,\"rows\":%zu,\"events\":%llu,\"peakBytes\":%llu,"
      "\"ownBytes\":%llu}\n",
      end - start, end - replayed, table.rows.size(),
      static_cast<unsigned long long>(analysis.totals().counts.events),
      static_cast<unsigned long long>(analysis.totals().peak_bytes),
      static_cast<unsigned long long>(statusBytes("VmHWM:") - before));
  return 0;
}

int run(int count, char** arguments) {
  const std::string what = count > 1 ? arguments[1] : "";
  if (what == "write" && count == 4)
    return write(arguments[2], std::strtoull(arguments[3], nullptr, 10));
  if (what == "read" && count == 3) return read(arguments[2]);
  if (what == "peak" && count == 3) return peak(arguments[2]);
  fprintf(stderr, "capture_bench write FILE EVENTS | read FILE | peak FILE\n");
  return 2;
}

}  // namespace
}  // namespace memdrift

int main(int count, char** arguments) { return memdrift::run(count, arguments); }
