// SPDX-License-Identifier: MIT
// The segments that this process is attached to.
#pragma once

#include <mutex>
#include <set>

namespace memdrift {

class Segment;

// process.exit() ends Node without cleaning up its environments, so that no destructor runs: what
// is left here then is left at exit().
class OpenSegments {
 public:
  static OpenSegments& instance();
  void add(Segment* segment);
  void remove(Segment* segment);

 private:
  void leaveAll();

  std::mutex mutex_;
  std::set<Segment*> segments_;
};

}  // namespace memdrift
