// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/runtime/caller.h"
#include "core/runtime/sandbox/sandbox_shim.h"
#include "core/sandbox/controller.h"

namespace gantry::runtime {

// Answers the caller when the sandbox has ended. The shim is asked once for all who wait at a time,
// so that those who give up leave no call behind. Unknown when the shim goes away meanwhile,
// ResourceExhausted when too many wait.
void WaitForSandbox(const std::shared_ptr<SandboxShim>& sandbox,
                    const std::shared_ptr<Caller<sandbox::SandboxExit>>& caller);

}  // namespace gantry::runtime
