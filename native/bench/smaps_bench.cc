// SPDX-License-Identifier: MIT
// Not shipped. bench/smaps.mjs compiles it: a process to look at, and a bare read(2) loop over
// smaps beside readSmaps in one process, by turns, so that both see the same kernel state.
//   smaps_bench target MAPPINGS    prints its pid and waits for the end of its input
//   smaps_bench measure PID RUNS   prints {"bareMs":[…],"parsedMs":[…],"residencyMs":[…]}
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <vector>

#include "proc/read_file.h"
#include "proc/residency.h"
#include "proc/smaps.h"

namespace memdrift {
namespace {

int runTarget(int mappings) {
  constexpr size_t kBytes = 8192;
  for (int i = 0; i < mappings; i++) {
    // Alternating protections, or the kernel would make one mapping of them all.
    const int protection = PROT_READ | PROT_WRITE | (i % 2 ? PROT_EXEC : 0);
    void* memory = mmap(nullptr, kBytes, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) return perror("mmap"), 1;
    *static_cast<char*>(memory) = 1;
  }
  printf("%d\n", getpid());
  fflush(stdout);
  char byte;
  while (read(STDIN_FILENO, &byte, 1) > 0) continue;
  return 0;
}

void readBare(pid_t pid) {
  static char buffer[kReadBytes];
  ProcFile file(pid, "smaps");
  while (file.read(buffer, sizeof buffer)) continue;
}

// Of this thread's CPU time: nothing here waits, and other work on the machine is then not in it.
double cpuMilliseconds() {
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return 1e3 * static_cast<double>(now.tv_sec) + 1e-6 * static_cast<double>(now.tv_nsec);
}

template <typename Work>
double millisecondsOf(Work&& work) {
  const double start = cpuMilliseconds();
  work();
  return cpuMilliseconds() - start;
}

void print(const char* name, const std::vector<double>& values, const char* after) {
  printf("\"%s\":[", name);
  for (size_t i = 0; i < values.size(); i++) printf("%s%.4f", i ? "," : "", values[i]);
  printf("]%s", after);
}

int measure(pid_t pid, int runs) {
  std::vector<double> bare, parsed, residency;
  for (int i = -1; i < runs; i++) {
    const double bare_ms = millisecondsOf([=] { readBare(pid); });
    const double parsed_ms = millisecondsOf([=] { readSmaps(pid); });
    const double residency_ms = millisecondsOf([=] { readResidency(pid); });
    if (i < 0) continue;  // the first turn warms up
    bare.push_back(bare_ms);
    parsed.push_back(parsed_ms);
    residency.push_back(residency_ms);
  }
  printf("{");
  print("bareMs", bare, ",");
  print("parsedMs", parsed, ",");
  print("residencyMs", residency, "}\n");
  return 0;
}

}  // namespace
}  // namespace memdrift

int main(int count, char** arguments) {
  if (count == 3 && strcmp(arguments[1], "target") == 0)
    return memdrift::runTarget(atoi(arguments[2]));
  if (count == 4 && strcmp(arguments[1], "measure") == 0)
    return memdrift::measure(atoi(arguments[2]), atoi(arguments[3]));
  fprintf(stderr, "usage: smaps_bench target MAPPINGS | measure PID RUNS\n");
  return 2;
}
