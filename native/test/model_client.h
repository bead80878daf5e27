// SPDX-License-Identifier: MIT
// A process that does to a store what it is told, a step at a time, and may be killed in it.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>

#include "errors.h"
#include "test/store_model.h"

namespace memdrift {

// A step, and what the model knows of its object.
struct Order {
  Step step;
  uint64_t id;
  uint64_t size_bytes;
  bool filled;   // its bytes are known
  bool written;  // by this client, to its view
};

struct Report {
  bool failed;  // with `code`
  ErrorCode code;
  bool right;  // all bytes that were looked at
  uint64_t id;
  uint32_t objects;  // of a look
  uint64_t live_bytes;
};

class ModelClient {
 public:
  explicit ModelClient(std::string store_name) : store_name_(std::move(store_name)) {}
  ~ModelClient() { kill(); }
  ModelClient(const ModelClient&) = delete;

  // Starts the process if there is none. Nothing if it was killed in the step, or hangs.
  std::optional<Report> follow(const Order& order);
  // Of the process now, or of the last one.
  pid_t pid() const { return pid_; }
  void kill();
  // Whether the one that did not answer died at its point, and of nothing else.
  bool wasKilledAtItsPoint();

 private:
  void start();

  std::string store_name_;
  pid_t pid_ = 0;
  int channel_ = -1;
};

}  // namespace memdrift
