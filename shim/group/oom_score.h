// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <sys/types.h>

#include "core/kernel/result.h"

namespace gantry::shim {

// Has the kernel, when memory runs out, rather kill `pid` than `other`: sets its oom_score_adj one
// above, at most to 1000. Where that is not allowed to us because we are not privileged, or `other`
// has ended, nothing changes.
kernel::Result<void> SetOomScoreAbove(pid_t pid, pid_t other);

}  // namespace gantry::shim
