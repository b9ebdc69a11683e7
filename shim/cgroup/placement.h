// SPDX-License-Identifier: Apache-2.0
// Where a shim and its containers are put.
#pragma once

#include <sys/types.h>

#include <string>

#include "core/kernel/result.h"
#include "shim/cgroup/location.h"
#include "shim/cgroup/roots.h"

namespace gantry::shim::cgroup {

// Moves a process to the cgroup at `path` below the cgroup mount: on version 1 in every hierarchy
// that has one there. ENOENT when there is none; it is never made. EINVAL for a path with "..".
kernel::Result<void> JoinCgroup(pid_t pid, const std::string& path, const Roots& roots = {});

// How soon the OOM killer takes the process, -1000 to 1000.
kernel::Result<int> OomScoreAdj(pid_t pid);
// EACCES for less than the process had, without CAP_SYS_RESOURCE.
kernel::Result<void> SetOomScoreAdj(pid_t pid, int value);

// On version 2, makes every controller of the machine available to the cgroup, as far as that goes;
// nothing on version 1.
void EnableControllers(const Location& location);

}  // namespace gantry::shim::cgroup
