// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "core/kernel/result.h"
#include "shim/cgroup/hierarchy.h"
#include "shim/cgroup/roots.h"
#include "shim/messages/types.h"

namespace gantry::shim::cgroup {

// The cgroup of a container, on version 2 or in each hierarchy of version 1, and what is done with
// it through files alone. A value: the cgroup may vanish at any time.
class Location {
 public:
  // Where the process is now. ESRCH when it has ended, for then it is shown in the wrong place.
  static kernel::Result<Location> Of(pid_t pid, const Roots& roots = {});

  // Whether it has not vanished yet.
  bool Exists() const;

  bool unified() const { return unified_; }
  const Roots& roots() const { return roots_; }

  // The cgroup's directory as this controller sees it. Empty when the controller is not mounted.
  std::string DirectoryOf(std::string_view controller) const;

  // Every process in the cgroup and those below, ascending. A cgroup that has gone has none.
  kernel::Result<std::vector<pid_t>> Pids() const;

  // SIGKILL to all that Pids() gives, and to what they fork meanwhile. EINVAL, and nothing is
  // killed, for the root and for a cgroup that this process itself is in or below.
  kernel::Result<void> KillAll() const;

  // io.containerd.cgroups.v1.Metrics or v2.Metrics. Reads some dozens of files.
  messages::Any Metrics() const;

  // Null when the controller is not mounted; on version 2 the same for all.
  const Hierarchy* HierarchyOf(std::string_view controller) const;
  // The hierarchy that the processes are found in.
  const Hierarchy& processes() const;

 private:
  Location(std::vector<Hierarchy> hierarchies, bool unified, Roots roots)
      : hierarchies_(std::move(hierarchies)), unified_(unified), roots_(std::move(roots)) {}
  kernel::Result<void> MayKill() const;

  std::vector<Hierarchy> hierarchies_;  // at least one
  bool unified_;
  Roots roots_;
};

}  // namespace gantry::shim::cgroup
