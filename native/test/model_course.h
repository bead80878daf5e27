// SPDX-License-Identifier: MIT
// Many steps that follow from one number, and few that do the same where they fail.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "test/model_run.h"

namespace memdrift {

// Steps that make sense, mostly.
class StepMaker {
 public:
  StepMaker(uint64_t seed, const RunOptions& options) : random_(seed), options_(options) {}
  Step next(const StoreModel& model);

 private:
  uint64_t below(uint64_t limit) { return random_() % limit; }
  bool oneIn(uint64_t count) { return below(count) == 0; }
  uint32_t object(const StoreModel& model, const Step& step);
  uint64_t size();

  std::mt19937_64 random_;
  RunOptions options_;
  uint32_t number_ = 0;
};

struct Course {
  uint64_t seed;
  uint64_t steps;
  RunOptions options = {};
};

struct Failure {
  std::string what;
  std::vector<Step> steps;  // the shortest list found that fails
  size_t first_steps;       // how many there were before any was taken out
};

// Nothing if store and model agree to the end.
std::optional<Failure> run(const Course& course, RunCounts& counts);

// Ends of a list of steps: where, and why.
struct Stop {
  size_t step;
  std::string what;
};
using Replay = std::function<std::optional<Stop>(const std::vector<Step>&)>;
// Takes steps out of a list that fails as long as what is left fails (delta debugging).
std::vector<Step> shrink(std::vector<Step> steps, const Replay& replay);

std::string textOf(const Failure& failure, uint64_t seed);

}  // namespace memdrift
