// SPDX-License-Identifier: MIT
// A binary semaphore between processes: a word in a segment of its own, and the kernel's futex.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "shm/mapping.h"
#include "shm/segment.h"

namespace memdrift {

class Flag {
 public:
  // Throws as Segment::create and Segment::open do.
  static std::shared_ptr<Flag> create(const std::string& name);
  static std::shared_ptr<Flag> open(const std::string& name);

  // Sets the flag and wakes who waits for it. A flag that is set already stays set: binary.
  void post() noexcept;
  // Takes the flag if it is set; never waits.
  bool tryWait() noexcept;

  // Detaches from the segment now; the word stays mapped until the last waiter has let go of it.
  // Not to be called twice at once.
  void close() noexcept { segment_.reset(); }

  // The word that a waiter hands to the kernel; 0 while the flag is not set.
  std::atomic<uint32_t>* word() const noexcept;

 private:
  explicit Flag(std::unique_ptr<Segment> segment);

  std::unique_ptr<Segment> segment_;
  Mapping mapping_;
};

}  // namespace memdrift
