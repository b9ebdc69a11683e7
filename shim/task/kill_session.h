// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <optional>

#include "shim/cgroup/location.h"

namespace gantry::shim {

// SIGKILL to a child that has not been reaped, and to those of its session that are in the cgroup.
void KillSession(pid_t child, const std::optional<cgroup::Location>& cgroup);

}  // namespace gantry::shim
