// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>

#include "shim/cgroup/location.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"

namespace gantry::shim {

// A process that lives for one call: nobody but that call knows it.
//
// Threads: one.
class SyncExec {
 public:
  // `cgroup` is borrowed: where the session is looked for.
  SyncExec(Loop& loop, const std::optional<cgroup::Location>& cgroup)
      : over_(loop), patience_(loop, [this] { over_.Set(); }), cgroup_(cgroup) {}
  SyncExec(const SyncExec&) = delete;

  // It runs, or is dead and not reaped.
  void Runs(pid_t pid);
  void Ended(const Exit& exit);
  bool known() const { return pid_ != 0 || exit_; }

  // Kills it and its session: now, or as soon as it runs.
  void Stop();
  bool stopped() const { return stopped_; }

  // Until it has ended, or will not although it was killed.
  Co<bool> Over() { return over_.Wait(); }
  const std::optional<Exit>& exit() const { return exit_; }

 private:
  void Kill();

  Event over_;
  Timer patience_;
  const std::optional<cgroup::Location>& cgroup_;
  pid_t pid_ = 0;
  std::optional<Exit> exit_;
  bool stopped_ = false;
};

}  // namespace gantry::shim
