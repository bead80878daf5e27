// SPDX-License-Identifier: MIT
// The store against its model for as long as wanted: store_model_program --steps 1000000 --seed 7.
// Ends with 1, and the shortest list of steps that it can find, where they do not agree.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "test/model_course.h"

namespace {

uint64_t argument(int count, char** arguments, const char* name) {
  for (int i = 1; i + 1 < count; i += 2) {
    if (strcmp(arguments[i], name) == 0) return strtoull(arguments[i + 1], nullptr, 10);
  }
  fprintf(stderr, "usage: store_model_program --steps COUNT --seed NUMBER\n");
  exit(2);
}

}  // namespace

int main(int count, char** arguments) {
  const memdrift::Course course{argument(count, arguments, "--seed"),
                                argument(count, arguments, "--steps")};
  memdrift::RunCounts counts;
  const auto began = std::chrono::steady_clock::now();
  const auto failure = run(course, counts);
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - began;
  const auto number = [](uint64_t value) { return static_cast<unsigned long>(value); };
  printf(
      "seed %lu: %lu steps in %.0f s, %lu refused, %lu kills, %lu deaths within a step, "
      "%lu comparisons\n",
      number(course.seed), number(counts.steps), took.count(), number(counts.refusals),
      number(counts.kills), number(counts.deaths_within), number(counts.comparisons));
  if (!failure) return 0;
  printf("%s", textOf(*failure, course.seed).c_str());
  return 1;
}
