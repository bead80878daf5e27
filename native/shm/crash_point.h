// SPDX-License-Identifier: MIT
// Where a test may end or stop this process: before every change of what others can see. And where
// it may do what another process may do at any time: before every look at shared memory.
//
// Shared<> calls crashPoint() before each of its stores, and so does whoever makes a system call
// that changes the file or its locks; it calls meddlePoint() before each of its loads. Nothing of
// it is in what users run: only the developers' build (CMakeLists.txt) defines
// MEMDRIFT_CRASH_POINTS.
#pragma once

#ifdef MEMDRIFT_CRASH_POINTS
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>

namespace memdrift {

// Points passed by all threads of this process since it began or crashAt() was called.
inline std::atomic<uint64_t> crash_points_passed{0};
// The number of the point at which to die; 0 never.
inline std::atomic<uint64_t> crash_point_of_death{0};
inline std::atomic<int> crash_signal{SIGKILL};

// From now on points are counted from 1, and the process is killed as it comes to number `point`,
// or with SIGSTOP is stopped there.
inline void crashAt(uint64_t point, int signal = SIGKILL) {
  crash_points_passed.store(0);
  crash_signal.store(signal);
  crash_point_of_death.store(point);
}

inline void crashPoint() noexcept {
  const uint64_t point = crash_points_passed.fetch_add(1, std::memory_order_relaxed) + 1;
  if (point == crash_point_of_death.load(std::memory_order_relaxed))
    kill(getpid(), crash_signal.load(std::memory_order_relaxed));
}

// What a test does to the shared memory before each look at it; null: nothing. Set while no other
// thread looks.
inline void (*meddle)() = nullptr;

inline void meddlePoint() {
  if (meddle != nullptr) meddle();
}

}  // namespace memdrift
#else
namespace memdrift {
inline void crashPoint() noexcept {}
inline void meddlePoint() noexcept {}
}  // namespace memdrift
#endif
