// SPDX-License-Identifier: Apache-2.0
#include "shim/group/core_scheduling.h"

#include <sys/prctl.h>

namespace gantry::shim {

kernel::Result<void> ShareCores(pid_t leader) {
  constexpr unsigned long kProcessGroup = 2;
  if (::prctl(PR_SCHED_CORE, PR_SCHED_CORE_CREATE, leader, kProcessGroup, 0) != 0) {
    return kernel::LastError("create a core scheduling group");
  }
  return {};
}

}  // namespace gantry::shim
