// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "core/kernel/result.h"

namespace gantry::shim::cgroup {

// The processes in the cgroup at `directory` and in those below it, ascending, each once. Cgroups
// that vanish meanwhile have none; processes outside our PID namespace are left out.
kernel::Result<std::vector<pid_t>> ListProcesses(const std::string& directory);

}  // namespace gantry::shim::cgroup
