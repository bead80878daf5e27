// SPDX-License-Identifier: MIT
// What people and reports are told of a store.
#include <algorithm>
#include <optional>
#include <string>

#include "errors.h"
#include "shm/store.h"

namespace memdrift {

namespace {

// The table has room for 67 million, by whoever sets its bits: gigabytes of a list.
constexpr size_t kMaxListedHolders = 1 << 20;

}  // namespace

std::vector<ObjectInfo> Store::list() const {
  std::vector<ObjectInfo> infos;
  size_t holders = 0;
  Liveness alive = table_.liveness(client_);
  const uint32_t count = table_.objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = table_.read(index);
    if (!object || object->state == ObjectState::kPunching || !table_.isLive(*object, alive))
      continue;
    ObjectInfo info{*object, table_.siteOf(index), {}, {}};
    info.creator = {object->creator, object->creator_pid, ""};
    const auto client = table_.client(object->creator);
    if (client && client->pid == object->creator_pid) info.creator.label = client->label;
    for (uint32_t holder : table_.holders(index, alive)) info.holders.push_back(holderOf(holder));
    holders += info.holders.size();
    if (holders > kMaxListedHolders)
      throw Error(ErrorCode::ERR_TOO_LARGE,
                  "the store's objects are held more than " + std::to_string(kMaxListedHolders) +
                      " times in all, which is more than a list is made of; stats() sums them up");
    // A slot that was used again meanwhile: some of this is another object's.
    const std::optional<ObjectCopy> after = table_.read(index);
    if (after && after->id() == object->id()) infos.push_back(std::move(info));
  }
  return infos;
}

Holder Store::holderOf(uint32_t client) const {
  const auto copy = table_.client(client);
  return copy ? Holder{client, copy->pid, copy->label} : Holder{client, 0, ""};
}

StoreStats Store::stats() const {
  const StoreHeader& header = table_.header();
  StoreStats stats{};
  stats.capacity_bytes = table_.capacityBytes();
  stats.placement = table_.placement();
  stats.puts = header.puts.load();
  stats.gets = header.gets.load();
  stats.evictions = header.evictions.load();
  stats.when_full = table_.whenFull();
  Liveness alive = table_.liveness(client_);
  const uint32_t count = table_.objectsUsed();
  for (uint32_t index = 0; index < count; index++) {
    const std::optional<ObjectCopy> object = table_.read(index);
    if (!object || object->state == ObjectState::kPunching || !table_.isLive(*object, alive))
      continue;
    stats.objects++;
    stats.live_bytes += object->size_bytes;
    stats.arena_bytes += object->extent.extent_bytes;
  }
  const uint32_t clients = std::min(header.clients_used.load(), kMaxClients);
  for (uint32_t index = 0; index < clients; index++) stats.clients += alive.alive(index) ? 1 : 0;
  stats.resident_bytes = segment_->residentBytes();
  return stats;
}

}  // namespace memdrift
