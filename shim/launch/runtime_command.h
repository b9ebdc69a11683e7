// SPDX-License-Identifier: Apache-2.0
// The OCI runtime, run from a command that may wait for it.
#pragma once

#include <string>
#include <vector>

#include "core/kernel/command.h"
#include "core/kernel/result.h"

namespace gantry::shim {

// Runs an OCI runtime to its end. What would make it answer to a service manager for us is taken
// out of its environment. ETIMEDOUT when it was killed for taking too long.
kernel::Result<kernel::CommandResult> RunRuntime(const std::string& program,
                                                 std::vector<std::string> arguments,
                                                 int timeout_ms);

}  // namespace gantry::shim
