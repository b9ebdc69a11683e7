// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <utility>

#include "core/kernel/subprocess.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"

namespace gantry::shim {

// The end of a process.
struct Exit {
  pid_t pid = 0;
  kernel::ExitStatus status;
  std::chrono::system_clock::time_point at;  // taken right after the wait
};

// Reaps every child of this process, those too that came to it as their subreaper. Nobody else may
// wait for children. A child is known by its pid until it is reaped here, so that no pid is taken
// for another's.
class Children {
 public:
  using Handler = std::function<void(const Exit&)>;

  // `others` gets the end of each child that no Exited() waits for.
  Children(Loop& loop, Handler others) : loop_(loop), others_(std::move(others)) {}
  Children(const Children&) = delete;

  // Waits for the end of a child that this process has just started. Call it in the same turn: a
  // child that is reaped before goes to `others`.
  Co<Exit> Exited(pid_t pid);

  // Takes all that have ended. To be called at SIGCHLD, and whenever a signal may have been missed.
  void Reap();

  size_t awaited() const { return awaited_.size(); }

 private:
  struct Awaited {
    explicit Awaited(Loop& loop) : ended(loop) {}
    Event ended;
    Exit exit;
  };

  Loop& loop_;
  const Handler others_;
  std::map<pid_t, Awaited*> awaited_;
};

}  // namespace gantry::shim
