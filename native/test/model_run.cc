// SPDX-License-Identifier: MIT
#include "test/model_run.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>

namespace memdrift {

namespace {

constexpr uint64_t kTimeoutUs = 20'000'000;

std::string freshName() {
  static std::atomic<int> count{0};
  return "model-" + std::to_string(getpid()) + "-" + std::to_string(count++);
}

void require(bool right, const std::string& what) {
  if (!right) throw Disagreement(what);
}

std::string nameOf(const std::optional<ErrorCode>& code) {
  return code ? errorCodeName(*code) : "success";
}

}  // namespace

ModelRun::ModelRun(const RunOptions& options) : options_(options), model_(options.capacity_bytes) {
  const std::string name = freshName();
  store_ = Store::create({name, options.capacity_bytes, Placement::kLowest, true}, {});
  segment_ = Segment::open(name, SegmentKind::kStore);
  table_ = std::make_unique<StoreTable>(*segment_, false);
  for (uint32_t i = 0; i < options.clients; i++)
    clients_.push_back(std::make_unique<ModelClient>(name));
}

ModelRun::~ModelRun() {
  // Before our own end: they have copies of our descriptors, and with them our locks.
  clients_.clear();
}

void ModelRun::take(const Step& step) {
  if (!model_.canHappen(step)) return;
  counts_.steps++;
  ModelClient& client = *clients_[step.client];
  if (step.act == Act::kKill) {
    client.kill();
    counts_.kills++;
    model_.apply(step, 0);
    return;
  }
  const auto found = model_.objects().find(step.object);
  const ModelObject* object = found == model_.objects().end() ? nullptr : &found->second;
  Order order{step, model_.idOf(step.object), 0, false, false};
  if (object != nullptr) {
    order.size_bytes = object->size_bytes;
    order.filled = object->filled;
    order.written = object->writers.contains(step.client);
  }
  if (const auto report = client.follow(order)) return settleAnswer(step, *report);
  require(client.wasKilledAtItsPoint() && step.crash_point != 0, "the client hangs, or crashed");
  settleDeath(step);
}

void ModelRun::settleAnswer(const Step& step, const Report& report) {
  const std::optional<ErrorCode> expected = model_.expected(step);
  std::optional<ErrorCode> code;
  if (report.failed) code = report.code;
  require(code == expected, nameOf(code) + " where there should be " + nameOf(expected));
  require(report.right, "wrong bytes");
  if (report.failed) {
    counts_.refusals++;
    return;
  }
  if (step.act == Act::kLook) {
    uint64_t live_bytes = 0;
    for (const auto& [number, object] : model_.objects()) live_bytes += object.size_bytes;
    require(report.objects == model_.objects().size(), "it sees another number of objects");
    require(report.live_bytes == live_bytes, "it sees other live bytes");
  }
  if (step.act == Act::kCreate) {
    require(!model_.wasEver(report.id), "an id came back: " + std::to_string(report.id));
    require(report.id % kMaxObjects == model_.lowestFreeSlot(), "not the lowest free slot");
  }
  model_.apply(step, report.id);
  if (step.act == Act::kGiveBack) requireNoFreePages();
}

// All free room was given back. A page of slots may be there of which none was used yet.
void ModelRun::requireNoFreePages() {
  uint64_t extents_bytes = 0;
  for (const auto& [number, object] : model_.objects()) extents_bytes += object.extent.extent_bytes;
  const uint64_t resident_bytes = segment_->residentBytes();
  const uint64_t needed_bytes = table_->tableBytes() + extents_bytes;
  require(resident_bytes >= needed_bytes && resident_bytes <= needed_bytes + kPageBytes,
          std::to_string(resident_bytes) + " bytes have pages of " + std::to_string(needed_bytes));
}

// The step was done or it was not, and the store tells which.
void ModelRun::settleDeath(const Step& step) {
  counts_.deaths_within++;
  const bool could = !model_.expected(step).has_value();
  const bool sealed = isSealed(model_.idOf(step.object));
  const bool done =
      could && ((step.act == Act::kSeal && sealed) || (step.act == Act::kRemove && !sealed));
  if (done) model_.apply(step, 0);
  if (model_.isAttached(step.client)) model_.apply({0, Act::kKill, step.client, 0, 0, 0}, 0);
  compare();
}

bool ModelRun::isSealed(uint64_t id) const {
  for (const ObjectInfo& info : store_->list())
    if (info.object.id() == id) return info.object.state == ObjectState::kSealed;
  return false;
}

void ModelRun::compare() {
  counts_.comparisons++;
  std::map<uint64_t, const ModelObject*> expected;
  uint64_t live_bytes = 0;
  for (const auto& [number, object] : model_.objects()) {
    expected[object.id] = &object;
    live_bytes += object.size_bytes;
  }
  const std::vector<ObjectInfo> list = store_->list();
  require(list.size() == expected.size(), "the list has " + std::to_string(list.size()) +
                                              " objects of " + std::to_string(expected.size()));
  for (const ObjectInfo& info : list) {
    const auto found = expected.find(info.object.id());
    require(found != expected.end(), "the list has an object that there should not be");
    compareObject(*found->second, info);
  }
  const StoreStats stats = store_->stats();
  require(stats.live_bytes == live_bytes, "live bytes");
  require(stats.clients == 1 + model_.attachedCount(), "the number of clients");
  compareTable();
  verifyBytes();
}

void ModelRun::compareObject(const ModelObject& expected, const ObjectInfo& found) {
  const std::string name = "object " + std::to_string(expected.id) + ": ";
  require(found.object.state == expected.state, name + "its state");
  require(found.object.size_bytes == expected.size_bytes, name + "its size");
  require(found.object.extent.offset_bytes == expected.extent.offset_bytes &&
              found.object.extent.extent_bytes == expected.extent.extent_bytes,
          name + "its place");
  std::set<uint32_t> pids;
  for (const auto& [client, count] : expected.holders)
    pids.insert(static_cast<uint32_t>(clients_[client]->pid()));
  std::set<uint32_t> found_pids;
  for (const Holder& holder : found.holders) found_pids.insert(holder.pid);
  require(found_pids == pids && found.holders.size() == pids.size(), name + "its holders");
}

// Under the lock extents are disjoint, or reclaim() throws.
void ModelRun::compareTable() {
  const StoreTable::Lock lock(*table_, kTimeoutUs);
  const TableScan scan = table_->reclaim(lock, kNoClient);
  uint64_t extents_bytes = 0;
  for (const auto& [number, object] : model_.objects()) extents_bytes += object.extent.extent_bytes;
  require(scan.used_bytes == extents_bytes && !scan.punching, "what of the arena is used");
  require(scan.used.size() == model_.objects().size(), "the number of extents");
}

void ModelRun::verifyBytes() {
  for (const auto& [number, object] : model_.objects()) {
    if (object.state != ObjectState::kSealed || !object.filled) continue;
    const View view = store_->get(object.id);
    bool right = view.size_bytes == object.size_bytes;
    for (uint64_t at = 0; right && at < view.size_bytes; at++)
      right = view.bytes[at] == modelByte(number, at);
    store_->release(object.id);
    require(right, "object " + std::to_string(object.id) + ": its bytes");
  }
}

}  // namespace memdrift
