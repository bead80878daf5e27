// SPDX-License-Identifier: MIT
#include "shm/open_segments.h"

#include <cstdlib>

#include "shm/segment.h"

namespace memdrift {

OpenSegments& OpenSegments::instance() {
  // Never destroyed: a worker's thread may end after the static destructors have run.
  static OpenSegments* all = [] {
    std::atexit([] { instance().leaveAll(); });
    return new OpenSegments();
  }();
  return *all;
}

void OpenSegments::add(Segment* segment) {
  const std::lock_guard lock(mutex_);
  segments_.insert(segment);
}

void OpenSegments::remove(Segment* segment) {
  const std::lock_guard lock(mutex_);
  segments_.erase(segment);
}

void OpenSegments::leaveAll() {
  const std::lock_guard lock(mutex_);
  for (Segment* segment : segments_) segment->leave();
}

}  // namespace memdrift
