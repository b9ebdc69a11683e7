// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "core/kernel/result.h"
#include "shim/loop/co.h"
#include "shim/loop/event.h"
#include "shim/loop/loop.h"
#include "shim/process/children.h"
#include "shim/sandbox/namespaces.h"

namespace gantry::shim {

// A process that does nothing but be in the namespaces of a sandbox, which live as long as it and
// have their paths below its /proc/<pid>/ns. It reaps what it gets as the first process of a PID
// namespace. A copy of this process without its fds and its heap; it dies with this process.
//
// Threads: one. Outlive the process with the shared_ptr, or forget it: it is reaped all the same.
class Holder {
 public:
  // `id` is the sandbox's, for process lists. ETIMEDOUT at the deadline, ENOENT and the like for
  // what cannot be joined; then there is none.
  static Co<kernel::Result<std::shared_ptr<Holder>>> Start(Loop& loop, Children& children,
                                                           SandboxNamespaces namespaces,
                                                           std::string id, Time deadline);
  explicit Holder(Loop& loop, pid_t pid) : pid_(pid), ended_(loop) {}
  Holder(const Holder&) = delete;

  pid_t pid() const { return pid_; }
  // Set when it has ended, however it came to that.
  Event& ended() { return ended_; }
  const std::optional<Exit>& exit() const { return exit_; }

  // SIGKILL, if it lives.
  void Kill();

 private:
  static Co<void> Follow(Children& children, std::shared_ptr<Holder> self);

  const pid_t pid_;
  Event ended_;
  std::optional<Exit> exit_;
};

}  // namespace gantry::shim
