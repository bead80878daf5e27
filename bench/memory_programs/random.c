// Maps, writes, shares and frees memory at random: argv is a seed, seconds and a name. Moves in
// the first half of every three seconds of the clock, and rests in the second.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { kMost = 12, kPage = 4096 };
static struct {
  char* at;
  size_t size;
} blocks[kMost];
static int depth, children;
static unsigned state;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_REALTIME, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static unsigned below(unsigned n) {
  state = state * 1664525u + 1013904223u;
  return (unsigned)(((unsigned long long)state * n) >> 32);
}

static void wait_ms(unsigned ms) { usleep(ms * 1000); }

static void map(int flags, const char* name) {
  const int i = (int)below(kMost);
  if (blocks[i].at) return;
  const size_t size = (size_t)(1 + below(30)) << 20;
  const int fd = name ? memfd_create(name, MFD_CLOEXEC) : -1;
  if (name && ftruncate(fd, (off_t)size) != 0) exit(1);
  char* at = mmap(NULL, size, PROT_READ | PROT_WRITE, flags | (name ? 0 : MAP_ANONYMOUS), fd, 0);
  if (name) close(fd);
  if (at == MAP_FAILED) exit(1);
  blocks[i].at = at;
  blocks[i].size = size;
}

static void touch(int writes) {
  const int i = (int)below(kMost);
  if (!blocks[i].at) return;
  volatile char* at = blocks[i].at;
  const size_t pages = blocks[i].size / kPage, from = below((unsigned)pages);
  const size_t count = below((unsigned)(pages - from)) + 1;
  for (size_t page = from; page < from + count; page++) {
    if (writes) at[page * kPage]++;
    else (void)at[page * kPage];
  }
}

static void give_up(int all) {
  const int i = (int)below(kMost);
  if (!blocks[i].at) return;
  if (!all) {
    madvise(blocks[i].at, blocks[i].size / 2 / kPage * kPage, MADV_DONTNEED);
    return;
  }
  munmap(blocks[i].at, blocks[i].size);
  blocks[i].at = NULL;
}

static void make_child(void) {
  if (depth >= 2 || children >= 3) return;
  const pid_t pid = fork();
  if (pid > 0) children++;
  if (pid != 0) return;
  depth++;
  children = 0;
  state ^= (unsigned)getpid() * 2654435761u;
}

static void burst(void) {
  const size_t size = (size_t)(10 + below(60)) << 20;
  char* at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  for (size_t i = 0; i < size; i += kPage) at[i] = 1;
  wait_ms(50);
  munmap(at, size);
}

static void act(const char* name) {
  const unsigned kind = below(100);
  if (kind < 15) map(MAP_PRIVATE, NULL);
  else if (kind < 18) map(MAP_SHARED, NULL);
  else if (kind < 22) map(MAP_SHARED, name);
  else if (kind < 62) touch(1);
  else if (kind < 68) touch(0);
  else if (kind < 78) give_up(below(2) == 0);
  else if (kind < 86) make_child();
  else if (kind < 89) burst();
  else if (kind < 92 && depth > 0) _exit(0);
  while (children > 0 && waitpid(-1, NULL, WNOHANG) > 0) children--;
}

int main(int argc, char** argv) {
  if (argc < 4) return 2;
  state = (unsigned)atoi(argv[1]) * 2654435761u + 1;
  const double end = now() + atof(argv[2]);
  while (now() < end) {
    const double t = now();
    if (t - 3.0 * (double)(long long)(t / 3) < 1.5) act(argv[3]);
    wait_ms(5 + below(45));
  }
  return 0;
}
