// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "core/kernel/result.h"

namespace gantry::shim {

// Has the process group of `leader` (0: ours), and all that it will start, share cores with nobody
// else. EINVAL or ENODEV where the kernel knows no core scheduling.
kernel::Result<void> ShareCores(pid_t leader);

}  // namespace gantry::shim
