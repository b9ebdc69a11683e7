// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <functional>
#include <map>
#include <optional>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
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

// What becomes of the children that no Exited() waits for.
struct OtherChildren {
  std::function<void(const Exit&)> ended;
  // Whether one that has ended stays as it is for now: its pid is nobody else's until it is reaped.
  // It is asked about again at each Reap(). Null: none does.
  std::function<bool(pid_t)> keep;
  // Those whose end is told even while others stay.
  std::function<std::vector<pid_t>()> awaited;
};

// Reaps every child of this process, those too that came to it as their subreaper. Nobody else may
// wait for children. A child is known by its pid until it is reaped here, so that no pid is taken
// for another's.
class Children {
 public:
  using Handler = std::function<void(const Exit&)>;

  Children(Loop& loop, Handler others)
      : Children(loop, OtherChildren{.ended = std::move(others)}) {}
  Children(Loop& loop, OtherChildren others) : loop_(loop), others_(std::move(others)) {}
  Children(const Children&) = delete;

  // Waits for the end of a child that this process has just started. Call it in the same turn: a
  // child that is reaped before goes to `others`.
  Co<Exit> Exited(pid_t pid);

  // Takes all that have ended. To be called at SIGCHLD, whenever a signal may have been missed, and
  // when what was kept may go.
  void Reap();

  // Reaps that child, which none of the others gets to see; nothing while it runs. ECHILD: it is no
  // child, or was reaped.
  static kernel::Result<std::optional<Exit>> Take(pid_t pid);

  size_t awaited() const { return awaited_.size(); }

 private:
  struct Awaited {
    explicit Awaited(Loop& loop) : ended(loop) {}
    Event ended;
    Exit exit;
  };

  void ReapAwaited();
  void ReapOne(pid_t pid);

  Loop& loop_;
  const OtherChildren others_;
  std::map<pid_t, Awaited*> awaited_;
};

}  // namespace gantry::shim
