// SPDX-License-Identifier: MIT
#include "test/model_course.h"

#include <algorithm>
#include <iterator>

namespace memdrift {

namespace {

// What clients do, each as often as it stands here.
constexpr Act kActs[] = {
    Act::kCreate,  Act::kCreate, Act::kCreate, Act::kCreate, Act::kFill,    Act::kFill,
    Act::kFill,    Act::kFill,   Act::kFill,   Act::kSeal,   Act::kSeal,    Act::kSeal,
    Act::kSeal,    Act::kGet,    Act::kGet,    Act::kGet,    Act::kGet,     Act::kHold,
    Act::kCheck,   Act::kCheck,  Act::kWrite,  Act::kWrite,  Act::kRelease, Act::kRelease,
    Act::kRelease, Act::kRemove, Act::kRemove, Act::kRemove, Act::kLook,    Act::kGiveBack,
};
constexpr uint64_t kOneInAborts = 60;
constexpr uint64_t kOneInEnds = 200;
constexpr uint64_t kOneInDeathsWithin = 60;
constexpr uint64_t kOneInStrangers = 15;
// The most that are tried; each takes as long as its steps.
constexpr int kMostReplays = 4000;

std::optional<Stop> replay(const std::vector<Step>& steps, const RunOptions& options) {
  size_t i = 0;
  try {
    ModelRun run(options);
    for (; i < steps.size(); i++) {
      run.take(steps[i]);
      run.compare();
    }
  } catch (const std::exception& error) {
    return Stop{i, error.what()};
  }
  return std::nullopt;
}

bool isOfFiller(Act act) { return act == Act::kFill || act == Act::kSeal || act == Act::kAbort; }

bool isOfHolder(Act act) {
  return act == Act::kHold || act == Act::kCheck || act == Act::kWrite || act == Act::kRelease;
}

bool hasManyPoints(Act act) {
  return act == Act::kOpen || act == Act::kClose || act == Act::kCreate || act == Act::kGiveBack;
}

std::vector<Step> without(const std::vector<Step>& steps, size_t from, size_t to) {
  std::vector<Step> rest(steps.begin(), steps.begin() + static_cast<ptrdiff_t>(from));
  rest.insert(rest.end(), steps.begin() + static_cast<ptrdiff_t>(to), steps.end());
  return rest;
}

}  // namespace

uint64_t StepMaker::size() {
  if (oneIn(100)) return options_.capacity_bytes + below(2);
  if (oneIn(12)) return below(options_.capacity_bytes / 3);
  return below(4 * kPageBytes);
}

uint32_t StepMaker::object(const StoreModel& model, const Step& step) {
  std::vector<uint32_t> fitting;
  for (const auto& [number, one] : model.objects()) {
    const bool created = one.state == ObjectState::kCreated;
    if (isOfFiller(step.act) && !(created && one.creator == step.client)) continue;
    if (isOfHolder(step.act) && !one.holders.contains(step.client)) continue;
    fitting.push_back(number);
  }
  // Of anybody, or gone, or never there.
  if (fitting.empty() || oneIn(kOneInStrangers))
    return static_cast<uint32_t>(number_ - std::min<uint64_t>(number_, below(200)));
  return fitting[below(fitting.size())];
}

Step StepMaker::next(const StoreModel& model) {
  Step step;
  step.number = number_++;
  step.client = static_cast<uint32_t>(below(options_.clients));
  step.act = kActs[below(std::size(kActs))];
  if (oneIn(kOneInAborts)) step.act = Act::kAbort;
  if (oneIn(kOneInEnds)) step.act = oneIn(2) ? Act::kClose : Act::kKill;
  if (!model.isAttached(step.client)) step.act = Act::kOpen;
  step.object = object(model, step);
  if (step.act == Act::kCreate) step.size_bytes = size();
  if (oneIn(kOneInDeathsWithin))
    step.crash_point = 1 + static_cast<uint32_t>(below(hasManyPoints(step.act) ? 60 : 3));
  return step;
}

std::vector<Step> shrink(std::vector<Step> steps, const Replay& replay) {
  int replays = 0;
  const auto fails = [&](const std::vector<Step>& some) {
    const std::optional<Stop> stop = ++replays > kMostReplays ? std::nullopt : replay(some);
    if (!stop) return false;
    steps = some;
    steps.resize(std::min(some.size(), stop->step + 1));
    return true;
  };
  size_t length = std::max<size_t>(1, steps.size() / 2);
  for (;;) {
    bool shorter = false;
    for (size_t from = 0; from < steps.size();) {
      const size_t to = std::min(steps.size(), from + length);
      if (fails(without(steps, from, to)))
        shorter = true;
      else
        from += length;
    }
    if (length == 1 && !shorter) return steps;
    if (!shorter || length > steps.size()) length = std::max<size_t>(1, length / 2);
  }
}

std::optional<Failure> run(const Course& course, RunCounts& counts) {
  std::vector<Step> taken;
  std::string what;
  try {
    ModelRun run(course.options);
    StepMaker maker(course.seed, course.options);
    while (run.counts().steps < course.steps) {
      taken.push_back(maker.next(run.model()));
      run.take(taken.back());
      if (taken.size() % course.options.compare_every == 0) run.compare();
      counts = run.counts();
    }
    run.compare();
    return std::nullopt;
  } catch (const std::exception& error) {
    what = error.what();
  }
  const auto again = [&](const std::vector<Step>& steps) { return replay(steps, course.options); };
  // Compared at each step it may fail earlier.
  if (const std::optional<Stop> stop = again(taken)) {
    taken.resize(std::min(taken.size(), stop->step + 1));
    what = stop->what;
  }
  const size_t first_steps = taken.size();
  return Failure{what, shrink(std::move(taken), again), first_steps};
}

std::string textOf(const Failure& failure, uint64_t seed) {
  std::string text = failure.what + "\nwith seed " + std::to_string(seed) + "; " +
                     std::to_string(failure.first_steps) + " steps, of which these are enough:\n";
  for (const Step& step : failure.steps) text += "  " + textOf(step) + "\n";
  return text;
}

}  // namespace memdrift
