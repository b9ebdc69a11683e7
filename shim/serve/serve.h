// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "shim/launch/serve.h"

namespace gantry::shim {

// Serves the containers of one group, in the process that shim/launch has prepared, until Shutdown
// is called, SIGTERM or SIGINT comes, or nobody has used it for a long time. SIGUSR1: writes what
// it holds to the log.
int ServeTasks(ServeOptions options);

}  // namespace gantry::shim
