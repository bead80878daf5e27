// SPDX-License-Identifier: MIT
// Lets a binary that was built on a new system load on an old one. The oldest Node that is
// supported needs glibc 2.28; a build on anything later asks for 2.34, because that release moved
// functions between libraries under new symbol versions, though they do the same. What is defined
// here is bound at link time in place of those symbols. Only node-gyp's build has this file
// (package_sources): sanitizers want the real functions. test/system/package.test.ts says when a
// symbol is missing here.
#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <ctime>
#include <new>

#if defined(__GLIBC__) && defined(__x86_64__)
#define BASE_VERSION "GLIBC_2.2.5"
#elif defined(__GLIBC__) && defined(__aarch64__)
#define BASE_VERSION "GLIBC_2.17"
#endif

#ifdef BASE_VERSION
// `old_NAME` is NAME as every glibc of this architecture has it.
#define OLD_SYMBOL(name) __asm__(".symver old_" #name ", " #name "@" BASE_VERSION)

extern "C" {

OLD_SYMBOL(dladdr);
int old_dladdr(const void* at, void* info);
OLD_SYMBOL(dlclose);
int old_dlclose(void* handle);
OLD_SYMBOL(dlopen);
void* old_dlopen(const char* name, int flags);
OLD_SYMBOL(dlsym);
void* old_dlsym(void* handle, const char* name);
OLD_SYMBOL(pthread_attr_getstack);
int old_pthread_attr_getstack(const pthread_attr_t* attributes, void** low, size_t* bytes);
OLD_SYMBOL(pthread_key_create);
int old_pthread_key_create(pthread_key_t* key, void (*destructor)(void*));
OLD_SYMBOL(pthread_setspecific);
int old_pthread_setspecific(pthread_key_t key, const void* value);
OLD_SYMBOL(pthread_mutex_trylock);
int old_pthread_mutex_trylock(pthread_mutex_t* mutex);
OLD_SYMBOL(pthread_once);
int old_pthread_once(pthread_once_t* once, void (*function)());
OLD_SYMBOL(pthread_sigmask);
int old_pthread_sigmask(int how, const sigset_t* set, sigset_t* before);

// libstdc++ reads it to leave out atomics while there is one thread; Node never has one (2.32).
char __libc_single_threaded = 0;

#if defined(__x86_64__)
__asm__(".symver old_pthread_getattr_np, pthread_getattr_np@GLIBC_2.2.5");
__asm__(".symver old_pthread_setname_np, pthread_setname_np@GLIBC_2.12");
#else
OLD_SYMBOL(pthread_getattr_np);
OLD_SYMBOL(pthread_setname_np);
#endif
int old_pthread_getattr_np(pthread_t thread, pthread_attr_t* attributes);
int old_pthread_setname_np(pthread_t thread, const char* name);

// dlfcn.h is left out: it would give dlsym other attributes than it has here.
void* dlsym(void* handle, const char* name) { return old_dlsym(handle, name); }

int dladdr(const void* at, void* info) { return old_dladdr(at, info); }

int pthread_key_create(pthread_key_t* key, void (*destructor)(void*)) {
  return old_pthread_key_create(key, destructor);
}

int pthread_setspecific(pthread_key_t key, const void* value) {
  return old_pthread_setspecific(key, value);
}

int dlclose(void* handle) { return old_dlclose(handle); }

void* dlopen(const char* name, int flags) { return old_dlopen(name, flags); }

int pthread_attr_getstack(const pthread_attr_t* attributes, void** low, size_t* bytes) {
  return old_pthread_attr_getstack(attributes, low, bytes);
}

int pthread_getattr_np(pthread_t thread, pthread_attr_t* attributes) {
  return old_pthread_getattr_np(thread, attributes);
}

int pthread_setname_np(pthread_t thread, const char* name) {
  return old_pthread_setname_np(thread, name);
}

int pthread_mutex_trylock(pthread_mutex_t* mutex) { return old_pthread_mutex_trylock(mutex); }

int pthread_once(pthread_once_t* once, void (*function)()) {
  return old_pthread_once(once, function);
}

int pthread_sigmask(int how, const sigset_t* set, sigset_t* before) {
  return old_pthread_sigmask(how, set, before);
}

// Before 2.33 these were inline functions over __xstat.
int fstat(int fd, struct stat* result) {
  return static_cast<int>(syscall(SYS_newfstatat, fd, "", result, AT_EMPTY_PATH));
}

int stat(const char* path, struct stat* result) {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, result, 0));
}

int lstat(const char* path, struct stat* result) {
  return static_cast<int>(syscall(SYS_newfstatat, AT_FDCWD, path, result, AT_SYMLINK_NOFOLLOW));
}

int fstatat(int folder, const char* path, struct stat* result, int flags) {
  return static_cast<int>(syscall(SYS_newfstatat, folder, path, result, flags));
}

// The time on the wall clock at which `clock` will show `until`.
static timespec wallTime(clockid_t clock, const timespec* until) {
  constexpr int64_t kSecond = 1'000'000'000;
  timespec now, wall;
  clock_gettime(clock, &now);
  clock_gettime(CLOCK_REALTIME, &wall);
  const int64_t left_ns = (until->tv_sec - now.tv_sec) * kSecond + until->tv_nsec - now.tv_nsec;
  const int64_t wall_ns = wall.tv_sec * kSecond + wall.tv_nsec + left_ns;
  return {wall_ns / kSecond, wall_ns % kSecond};
}

// New in 2.30. Where it is missing, the wait is on the wall clock: one that is set back meanwhile
// makes it late by as much.
int pthread_cond_clockwait(pthread_cond_t* condition, pthread_mutex_t* mutex, clockid_t clock,
                           const timespec* until) {
  using Function = int (*)(pthread_cond_t*, pthread_mutex_t*, clockid_t, const timespec*);
  static const auto real = reinterpret_cast<Function>(dlsym(nullptr, "pthread_cond_clockwait"));
  if (real != nullptr) return real(condition, mutex, clock, until);
  const timespec deadline = wallTime(clock, until);
  return pthread_cond_timedwait(condition, mutex, &deadline);
}

// What `new T[n]` calls for an n that cannot be; libstdc++ has it since gcc 11.
[[noreturn]] void throw_bad_array_new_length() __asm__("_ZSt28__throw_bad_array_new_lengthv");
void throw_bad_array_new_length() { throw std::bad_array_new_length(); }

// std::condition_variable::wait, whose version of gcc 12 only says that it is noexcept no more.
#define CXX_WAIT "_ZNSt18condition_variable4waitERSt11unique_lockISt5mutexE"
__asm__(".symver old_condition_wait, " CXX_WAIT "@GLIBCXX_3.4.11");
void old_condition_wait(void* condition, void* lock);
void condition_wait(void* condition, void* lock) __asm__(CXX_WAIT);
void condition_wait(void* condition, void* lock) { old_condition_wait(condition, lock); }

}  // extern "C"
#endif
