// SPDX-License-Identifier: MIT
// A process with one mapping of every kind that a test looks at; prints its pid and stops itself.
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static const size_t size = 8 << 20;

static char *map(int protection, int flags, int fd) {
  char *memory = mmap(NULL, size, protection, flags, fd, 0);
  if (memory == MAP_FAILED) {
    perror("mmap");
    _exit(1);
  }
  return memory;
}

static char *map_file(const char *folder, const char *name, int flags) {
  char path[4096];
  snprintf(path, sizeof path, "%s/%s", folder, name);
  int fd = open(path, O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, size) != 0) {
    perror(path);
    _exit(1);
  }
  return map(PROT_READ | PROT_WRITE, flags, fd);
}

// target FOLDER [hugetlb]: FOLDER takes the files that are mapped.
int main(int count, char **arguments) {
  const char *folder = arguments[1];
  char path[4096];
  memset(map_file(folder, "with space", MAP_SHARED), 1, size / 2);
  memset(map_file(folder, "new\nline", MAP_SHARED), 1, 4096);
  memset(map_file(folder, "back\\slash", MAP_PRIVATE), 1, size / 4);
  memset(map_file(folder, "gone", MAP_SHARED), 1, 8192);
  snprintf(path, sizeof path, "%s/gone", folder);
  unlink(path);
  memset(map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1), 1, size / 2);
  char *memory = map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  madvise(memory, size, MADV_NOHUGEPAGE);
  memset(memory, 1, size / 2);
  volatile char sum = 0;
  for (size_t i = size / 2; i < size; i += 4096) sum += memory[i];  // zero pages
  map(PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
  if (count > 2 && strcmp(arguments[2], "hugetlb") == 0) {
    memset(map(PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1), 1, size / 2);
    memset(map(PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB, -1), 1, size / 4);
    if (count > 3) memset(map_file(arguments[3], "huge", MAP_SHARED), 1, size / 4);
  }
  prctl(PR_SET_NAME, "a (b) c");
  printf("%d\n", getpid());
  fflush(stdout);
  raise(SIGSTOP);
  return 0;
}
