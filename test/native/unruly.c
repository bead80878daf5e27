// SPDX-License-Identifier: MIT
// An addon that does what programs may do and a guest in their process does not expect: leaves
// signal handlers by jumps, closes descriptors that it did not open, forks by bare system calls,
// forbids system calls.
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <node_api.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))
#define FUNCTION(name) static napi_value name(napi_env env, napi_callback_info info)
#define TAKE   \
  double v[4]; \
  arguments(env, info, v)

static void arguments(napi_env env, napi_callback_info info, double out[4]) {
  napi_value values[4];
  size_t count = 4;
  napi_get_cb_info(env, info, &count, values, NULL, NULL);
  for (size_t i = 0; i < 4; i++) {
    out[i] = 0;
    if (i < count) napi_get_value_double(env, values[i], &out[i]);
  }
}

static napi_value number(napi_env env, double value) {
  napi_value result;
  napi_create_double(env, value, &result);
  return result;
}

static void handle(int signal, void (*handler)(int), int flags) {
  struct sigaction action = {.sa_handler = handler, .sa_flags = flags};
  sigaction(signal, &action, NULL);
}

static void* freshPages(size_t bytes) {
  return mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void mapOnce(void) { munmap(freshPages(8192), 8192); }

// A block that the compiler cannot do without: it leaves out a malloc whose result is only freed.
static void* blockOf(size_t bytes) {
  void* block = malloc(bytes);
  __asm__ volatile("" : "+r"(block) : : "memory");
  return block;
}

static void* allocateALittle(void* unused) {
  (void)unused;
  for (size_t i = 0; i < 100; i++) free(blockOf(100 + i));
  mapOnce();
  return NULL;
}

// Jumps out of handlers, wherever they interrupt mmap and munmap: both may be called in one.
static sigjmp_buf g_jump;
static volatile sig_atomic_t g_may_jump;
static _Atomic int g_is_kicking;
static pthread_t g_kicked;

static void jumpOut(int signal) {
  (void)signal;
  if (g_may_jump) siglongjmp(g_jump, 1);
}

static void* kick(void* unused) {
  (void)unused;
  while (g_is_kicking) {
    pthread_kill(g_kicked, SIGALRM);
    usleep(100);
  }
  return NULL;
}

// jumps(count, onOtherStack)
FUNCTION(jumps) {
  static volatile int left;
  TAKE;
  left = (int)v[0];
  stack_t stack = {.ss_sp = freshPages(1 << 16), .ss_size = 1 << 16};
  if (v[1]) sigaltstack(&stack, NULL);
  handle(SIGALRM, jumpOut, v[1] ? SA_ONSTACK : 0);
  g_kicked = pthread_self();
  g_is_kicking = 1;
  pthread_t kicker;
  pthread_create(&kicker, NULL, kick, NULL);
  if (sigsetjmp(g_jump, 1)) left = left - 1;
  g_may_jump = 1;
  while (left > 0) mapOnce();
  g_may_jump = 0;
  g_is_kicking = 0;
  pthread_join(kicker, NULL);
  handle(SIGALRM, SIG_IGN, 0);
  return number(env, left);
}

// A thread that never returns from a handler that interrupted its allocations.
static void stay(int signal) {
  (void)signal;
  for (;;) pause();
}

static void* allocateForGood(void* unused) {
  (void)unused;
  for (;;) mapOnce();
  return NULL;
}

// staysInHandlers(threads)
FUNCTION(staysInHandlers) {
  TAKE;
  handle(SIGUSR2, stay, 0);
  pthread_t threads[64];
  const int count = (int)v[0];
  for (int i = 0; i < count; i++) pthread_create(&threads[i], NULL, allocateForGood, NULL);
  usleep(50000);
  for (int i = 0; i < count; i++) pthread_kill(threads[i], SIGUSR2);
  usleep(50000);
  return number(env, count);
}

// Allocates in a handler at every 100 us of processor time; otherStack: of its own.
static _Atomic int g_handled;
static void mapInHandler(int signal) {
  (void)signal;
  mapOnce();
  g_handled++;
}

FUNCTION(startTimer) {
  TAKE;
  handle(SIGPROF, mapInHandler, SA_RESTART | (v[0] ? SA_ONSTACK : 0));
  const struct itimerval often = {{0, 100}, {0, 100}};
  setitimer(ITIMER_PROF, &often, NULL);
  return NULL;
}
FUNCTION(stopTimer) {
  (void)info;
  const struct itimerval never = {{0, 0}, {0, 0}};
  setitimer(ITIMER_PROF, &never, NULL);
  return number(env, g_handled > 0);
}

static double runThreads(int count, size_t stack_bytes) {
  pthread_t threads[1024];
  int made = 0;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  if (stack_bytes) pthread_attr_setstacksize(&attributes, stack_bytes);
  for (int i = 0; i < count && i < 1024; i++)
    made += pthread_create(&threads[made], &attributes, allocateALittle, NULL) == 0;
  for (int i = 0; i < made; i++) pthread_join(threads[i], NULL);
  pthread_attr_destroy(&attributes);
  return made;
}

// threads(count, stackBytes): at a time.
FUNCTION(threads) {
  TAKE;
  return number(env, runThreads((int)v[0], (size_t)v[1]));
}

// Threads that live at the same time and have each allocated.
static pthread_barrier_t g_all_are_there;
static void* allocateAndWait(void* unused) {
  (void)unused;
  g_handled += blockOf(100) != NULL;
  pthread_barrier_wait(&g_all_are_there);
  pthread_barrier_wait(&g_all_are_there);
  return NULL;
}
// Threads that hold blocks until the process ends.
struct held_blocks {
  int blocks;
  size_t bytes;
};
static void* holdBlocks(void* given) {
  const struct held_blocks* wanted = given;
  for (int i = 0; i < wanted->blocks; i++) g_handled += blockOf(wanted->bytes) != NULL;
  pthread_barrier_wait(&g_all_are_there);
  for (;;) pause();
}

// threadsThatHold(count, blocks, bytes of a block).
FUNCTION(threadsThatHold) {
  TAKE;
  static struct held_blocks wanted;
  wanted = (struct held_blocks){(int)v[1], (size_t)v[2]};
  pthread_barrier_init(&g_all_are_there, NULL, (unsigned)v[0] + 1);
  for (int i = 0; i < (int)v[0]; i++) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, holdBlocks, &wanted)) return number(env, -i);
  }
  pthread_barrier_wait(&g_all_are_there);
  return number(env, v[0]);
}

FUNCTION(threadsAtOnce) {
  TAKE;
  const int count = (int)v[0];
  pthread_t* threads = malloc((size_t)count * sizeof *threads);
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 1 << 16);
  pthread_barrier_init(&g_all_are_there, NULL, (unsigned)count + 1);
  for (int i = 0; i < count; i++)
    if (pthread_create(&threads[i], &attributes, allocateAndWait, NULL)) return number(env, -i);
  pthread_barrier_wait(&g_all_are_there);
  pthread_barrier_wait(&g_all_are_there);
  for (int i = 0; i < count; i++) pthread_join(threads[i], NULL);
  free(threads);
  return number(env, count);
}

// Contexts that the program switches itself, on unordered stacks.
static ucontext_t g_outer, g_inner;
static void allocateInContext(void) {
  for (;;) {
    void* small = malloc(64);
    void* large = malloc(300000);
    mapOnce();
    free(small);
    free(large);
    swapcontext(&g_inner, &g_outer);
  }
}
FUNCTION(contexts) {
  TAKE;
  for (int round = 0; round < (int)v[0]; round++) {
    void* stack = freshPages(1 << 16);
    getcontext(&g_inner);
    g_inner.uc_stack.ss_sp = stack;
    g_inner.uc_stack.ss_size = 1 << 16;
    makecontext(&g_inner, allocateInContext, 0);
    for (int i = 0; i < 20; i++) {
      swapcontext(&g_outer, &g_inner);
      free(malloc(77));
    }
    munmap(stack, 1 << 16);
  }
  return number(env, v[0]);
}

static int waitFor(int pid) {
  int status = -1;
  waitpid(pid, &status, 0);
  return status;
}

// bareFork(allocations): kB that the child has more at its end than at its beginning.
static long residentKb(void) {
  char text[128] = "";
  const int fd = open("/proc/self/statm", O_RDONLY);
  if (read(fd, text, sizeof text - 1) < 0) text[0] = 0;
  close(fd);
  long size = 0, resident = 0;
  sscanf(text, "%ld %ld", &size, &resident);
  return resident * 4;
}
FUNCTION(bareFork) {
  TAKE;
  int ends[2];
  if (pipe(ends) != 0) return number(env, -1);
  const int pid = (int)syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    long grown = -residentKb();
    for (long i = 0; i < (long)v[0]; i++) free(malloc(100));
    grown += residentKb();
    _exit(write(ends[1], &grown, sizeof grown) != sizeof grown);
  }
  long grown = -1;
  if (read(ends[0], &grown, sizeof grown) != sizeof grown) grown = -1;
  close(ends[0]);
  close(ends[1]);
  return number(env, waitFor(pid) == 0 ? (double)grown : -1);
}

FUNCTION(forkAndAllocate) {
  (void)info;
  const int pid = fork();
  if (pid == 0) {
    for (int i = 0; i < 100000; i++) free(malloc(100));
    runThreads(4, 0);
    _exit(7);
  }
  return number(env, WEXITSTATUS(waitFor(pid)));
}
// Node's own exit handlers may wait forever for threads that a child of fork() does not have: of
// the handlers, only those that were registered after this one run there.
static int own_process;
static void leaveForkedChild(int status, void* unused) {
  (void)unused;
  if (getpid() != own_process) _exit(status);
}
__attribute__((constructor)) static void registerLeaving(void) {
  own_process = getpid();
  on_exit(leaveForkedChild, NULL);
}
FUNCTION(forkAndExit) {
  (void)info;
  const int pid = fork();
  if (pid == 0) exit(5);
  return number(env, WEXITSTATUS(waitFor(pid)));
}
static int allocateInClone(void* unused) {
  (void)unused;
  for (int i = 0; i < 1000; i++) free(malloc(100));
  return 0;
}
FUNCTION(shareMemoryWithChild) {
  (void)info;
  const int kStackBytes = 1 << 20;
  char* stack = malloc(kStackBytes);
  const int pid = clone(allocateInClone, stack + kStackBytes, CLONE_VM | CLONE_VFORK | SIGCHLD, 0);
  const int status = waitFor(pid);
  free(stack);
  return number(env, status);
}
FUNCTION(vforkAndRun) {
  (void)info;
  const int pid = vfork();
  if (pid == 0) {
    execl("/bin/true", "true", (char*)NULL);
    _exit(1);
  }
  return number(env, waitFor(pid));
}

// closeFrom(first): all descriptors from there on, as daemons do.
FUNCTION(closeFrom) {
  TAKE;
  int closed = 0;
  for (int fd = (int)v[0]; fd < 65536; fd++) closed += close(fd) == 0;
  return number(env, closed);
}

FUNCTION(lockMemory) {
  (void)info;
  return number(env, mlockall(MCL_CURRENT | MCL_FUTURE) == 0);
}

static jmp_buf g_frame;
static void jumpFromDepth(int depth) {
  volatile char room[200];
  room[0] = (char)depth;
  free(malloc(50));
  if (depth == 0)
    longjmp(g_frame, 1);
  else
    jumpFromDepth(depth - 1);
  room[1] = room[0];
}
FUNCTION(longJumps) {
  TAKE;
  volatile int i = 0;
  for (; i < (int)v[0]; i = i + 1)
    if (!setjmp(g_frame)) jumpFromDepth(i % 100);
  return number(env, i);
}

// A system call by an instruction of its own, as static code without a C library makes it.
static long bareCall(long number, long a, long b, const void* c) {
  long result;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c)
               : "rcx", "r11", "memory");
  return result;
}

// forbid(call, action, all threads, how): a filter of system calls, as sandboxes have them. `how`
// is 0 by syscall(), 1 by prctl(), 2 by a bare instruction, 3 by syscall(SYS_prctl).
FUNCTION(forbid) {
  TAKE;
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)v[0], 0, 1),
      BPF_STMT(BPF_RET | BPF_K, (unsigned)v[1]),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
  const unsigned flags = v[2] ? SECCOMP_FILTER_FLAG_TSYNC : 0;
  if (v[3] == 1) return number(env, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
  if (v[3] == 2)
    return number(env, (double)bareCall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
  if (v[3] == 3)
    return number(env, (double)syscall(SYS_prctl, PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program));
  return number(env, (double)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program));
}

// Returns the number of calls by syscall() and prctl() that did not end as by a bare instruction:
// six arguments, results and errno. Each fails, or changes nothing.
FUNCTION(wrongCalls) {
  int wrong = 0;
  char* at = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const int file = open("/proc/self/exe", O_RDONLY);
  errno = 77;
  // The sixth argument is the offset: the second page of the file.
  const long mapped = syscall(SYS_mmap, at, 4096L, (long)PROT_READ, (long)(MAP_PRIVATE | MAP_FIXED),
                              (long)file, 4096L);
  char expected[64];
  wrong += pread(file, expected, sizeof expected, 4096) != sizeof expected;
  wrong += mapped != (long)at || memcmp(at, expected, sizeof expected) != 0 || errno != 77;
  wrong += syscall(SYS_mmap, at, 4096L, (long)PROT_READ, (long)(MAP_PRIVATE | MAP_FIXED),
                   (long)file, 1L) != -1 ||
           errno != EINVAL;
  munmap(at, 8192);
  close(file);
  errno = 77;
  wrong += syscall(SYS_getppid) != getppid() || errno != 77;
  char name[16] = {0}, again[16] = {0};
  wrong += prctl(PR_GET_NAME, name) != 0 || syscall(SYS_prctl, PR_GET_NAME, again) != 0;
  wrong += strcmp(name, again) != 0 || errno != 77;
  wrong += prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, NULL) != -1 || errno != EFAULT;
  wrong += prctl(PR_SET_SECCOMP, 99, NULL) != -1 || errno != EINVAL;
  wrong += syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, NULL) != -1 || errno != EFAULT;
  wrong += syscall(SYS_seccomp, 99, 0, NULL) != -1 || errno != EINVAL;
  wrong += syscall(100000) != -1 || errno != ENOSYS;
  return number(env, wrong);
}

EXPORT napi_value napi_register_module_v1(napi_env env, napi_value exports) {
#define ENTRY(name) {#name, name}
  static const struct {
    const char* name;
    napi_callback function;
  } functions[] = {
      ENTRY(jumps),           ENTRY(staysInHandlers), ENTRY(startTimer),
      ENTRY(stopTimer),       ENTRY(threads),         ENTRY(threadsAtOnce),
      ENTRY(threadsThatHold), ENTRY(contexts),        ENTRY(bareFork),
      ENTRY(forkAndExit),     ENTRY(forkAndAllocate), ENTRY(shareMemoryWithChild),
      ENTRY(vforkAndRun),     ENTRY(closeFrom),       ENTRY(lockMemory),
      ENTRY(longJumps),       ENTRY(forbid),          ENTRY(wrongCalls),
  };
  for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
    napi_value function;
    napi_create_function(env, functions[i].name, NAPI_AUTO_LENGTH, functions[i].function, NULL,
                         &function);
    napi_set_named_property(env, exports, functions[i].name, function);
  }
  return exports;
}
