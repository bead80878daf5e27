// SPDX-License-Identifier: MIT
// Steps taken by real processes in a real store and by the model, which must agree.
#pragma once

#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "shm/store.h"
#include "test/model_client.h"
#include "test/store_model.h"

namespace memdrift {

struct RunOptions {
  uint32_t clients = 6;
  uint64_t capacity_bytes = 1 << 20;
  // Everything is compared after so many steps, and after every death.
  uint32_t compare_every = 100;
};

struct RunCounts {
  uint64_t steps = 0;
  uint64_t refusals = 0;  // as the model said
  uint64_t kills = 0;
  uint64_t deaths_within = 0;
  uint64_t comparisons = 0;
};

class Disagreement : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

class ModelRun {
 public:
  explicit ModelRun(const RunOptions& options);
  ~ModelRun();

  // Throws Disagreement. Does nothing if the step cannot happen.
  void take(const Step& step);
  // List, sums, holders, places and bytes. Throws Disagreement.
  void compare();

  const StoreModel& model() const { return model_; }
  const RunCounts& counts() const { return counts_; }

 private:
  void settleDeath(const Step& step);
  void settleAnswer(const Step& step, const Report& report);
  void requireNoFreePages();
  void compareObject(const ModelObject& expected, const ObjectInfo& found);
  void compareTable();
  void verifyBytes();
  bool isSealed(uint64_t id) const;

  RunOptions options_;
  StoreModel model_;
  std::shared_ptr<Store> store_;
  std::unique_ptr<Segment> segment_;
  std::unique_ptr<StoreTable> table_;
  std::vector<std::unique_ptr<ModelClient>> clients_;
  RunCounts counts_;
};

}  // namespace memdrift
