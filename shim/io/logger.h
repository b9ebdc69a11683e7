// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "core/kernel/result.h"
#include "core/kernel/unique_fd.h"
#include "shim/io/io_context.h"
#include "shim/io/stdio_uri.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"

namespace gantry::shim {

// The program of a `binary` or `binary-v2` URI, which reads a process's outputs: descriptors 3 and
// 4; on 5 it says that it is ready. The query's pairs are its arguments.
class Logger {
 public:
  struct Streams {
    int out = -1;  // borrowed for the start
    int err = -1;
  };
  static kernel::Result<std::unique_ptr<Logger>> Spawn(IoContext& context, const StdioUri& uri,
                                                       const std::string& id, const std::string& ns,
                                                       Streams streams);
  Logger(const Logger&) = delete;
  // One that was not stopped is killed.
  ~Logger() { Kill(); }

  // Waits until it is ready: for a byte; of version 1 the end of its descriptor 5 will do.
  Co<kernel::Result<void>> Ready(Time deadline);

  // SIGTERM; SIGKILL when it has not ended within the context's patience. Goes on when it has
  // ended; the Logger itself may go meanwhile.
  Co<void> Stop();
  void Kill();

 private:
  struct Running {
    explicit Running(Loop& the_loop) : loop(the_loop), ended(the_loop) {}
    Loop& loop;
    pid_t pid = 0;
    Event ended;
  };
  Logger(IoContext& context, const StdioUri& uri, pid_t pid, kernel::UniqueFd readiness);
  static Co<void> Watch(Children& children, std::shared_ptr<Running> running);
  static Co<void> StopRunning(std::shared_ptr<Running> running, Clock::duration patience);

  IoContext& context_;
  const std::string path_;
  const bool byte_needed_;
  kernel::UniqueFd readiness_;
  std::shared_ptr<Running> running_;  // also with whoever waits for its end
};

}  // namespace gantry::shim
