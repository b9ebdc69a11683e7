// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "shim/io/process_io.h"
#include "shim/io/stdio_request.h"
#include "shim/loop/event.h"
#include "shim/messages/task_responses.h"
#include "shim/messages/types.h"
#include "shim/process/children.h"
#include "shim/task/phase.h"
#include "shim/task/reply.h"

namespace gantry::shim {

// A delete under way, and what it was answered.
struct Deletion {
  explicit Deletion(Loop& loop) : done(loop) {}
  Event done;
  std::optional<Reply<messages::DeleteResponse>> answer;
};

// A process of a container: its init process, or an exec.
struct Process {
  Process(Loop& loop, StdioRequest the_stdio) : stdio(std::move(the_stdio)), ended(loop) {}

  const StdioRequest stdio;  // its id is the process's own
  Phase phase = Phase::kCreated;
  pid_t pid = 0;          // 0 before it runs
  bool starting = false;  // of an exec: its start is under way
  std::unique_ptr<ProcessIo> io;
  std::optional<Exit> exit;
  std::string exec_spec;           // of an exec: what the runtime is to run
  std::optional<Exit> early_exit;  // of an exec: before its start was announced
  // Set when the exit is announced, when the start of an exec failed, and when it is deleted:
  // nobody has anything to wait for then.
  Event ended;
  std::shared_ptr<Deletion> deletion;  // while one is under way
};

inline messages::Timestamp ToTimestamp(std::chrono::system_clock::time_point time) {
  const auto since = time.time_since_epoch();
  const auto seconds = std::chrono::floor<std::chrono::seconds>(since);
  return {.seconds = seconds.count(),
          .nanos = static_cast<int32_t>(std::chrono::nanoseconds(since - seconds).count())};
}

}  // namespace gantry::shim
