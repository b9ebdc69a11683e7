// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/runtime/caller.h"
#include "core/runtime/sandbox/sandbox_shim.h"
#include "core/sandbox/controller.h"

namespace gantry::runtime {

// Makes the sandbox whose id `reserved` holds, or undoes whatever was made of it. Bounded by its
// own budgets; the caller may leave earlier, which undoes it too.
void RunSandboxCreate(SandboxEnv& env, std::shared_ptr<SandboxShim> reserved,
                      sandbox::Sandbox record, sandbox::CreateOptions options,
                      std::shared_ptr<Caller<Nothing>> caller);

}  // namespace gantry::runtime
