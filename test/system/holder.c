// Holds memory of known size on command, so that what is measured of it can be compared with
// arithmetic. One command per line on stdin, one line as the answer. Sizes are bytes.
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

static char* heap;
static volatile char sink;

static void fail(const char* what) {
  perror(what);
  exit(1);
}

static char* map(const char* path, size_t bytes, int flags) {
  int fd = -1;
  if (path != NULL) {
    fd = open(path, O_RDWR | O_CREAT, 0600);
    if (fd < 0) fail(path);
    // Grown, never cut: others may map more of it.
    if (lseek(fd, 0, SEEK_END) < (off_t)bytes && ftruncate(fd, (off_t)bytes) != 0) fail(path);
  }
  char* at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, fd, 0);
  if (at == MAP_FAILED) fail("mmap");
  if (fd >= 0) close(fd);
  return at;
}

static void readAll(const char* at, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 4096) sink = at[i];
}

// A child that writes over `bytes` of the heap that it has from its parent, and stays.
static int forkAndWrite(size_t bytes) {
  int ready[2];
  if (pipe(ready) != 0) fail("pipe");
  const int pid = fork();
  if (pid != 0) {
    char byte;
    if (read(ready[0], &byte, 1) != 1) fail("child");
    return pid;
  }
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  memset(heap, 7, bytes);
  if (write(ready[1], "", 1) != 1) exit(1);
  while (1) pause();
}

int main(void) {
  char line[512], command[32], path[256];
  size_t bytes;
  setvbuf(stdout, NULL, _IOLBF, 0);
  puts("ready");
  while (fgets(line, sizeof line, stdin) != NULL) {
    int answer = 0;
    if (sscanf(line, "%31s %zu %255s", command, &bytes, path) < 2) return 1;
    if (strcmp(command, "heap") == 0) {
      heap = map(NULL, bytes, MAP_PRIVATE | MAP_ANONYMOUS);
      memset(heap, 1, bytes);
    } else if (strcmp(command, "peak") == 0) {
      char* at = map(NULL, bytes, MAP_PRIVATE | MAP_ANONYMOUS);
      memset(at, 2, bytes);
      munmap(at, bytes);
    } else if (strcmp(command, "write") == 0) {
      memset(map(path, bytes, MAP_SHARED), 3, bytes);
    } else if (strcmp(command, "read") == 0) {
      readAll(map(path, bytes, MAP_SHARED), bytes);
    } else if (strcmp(command, "copy") == 0) {
      memset(map(path, bytes, MAP_PRIVATE), 4, bytes);
    } else if (strcmp(command, "leave") == 0) {
      char* at = map(path, bytes, MAP_SHARED);
      memset(at, 5, bytes);
      munmap(at, bytes);
    } else if (strcmp(command, "fork") == 0) {
      answer = forkAndWrite(bytes);
    } else {
      return 1;
    }
    printf("%d\n", answer);
  }
  return 0;
}
