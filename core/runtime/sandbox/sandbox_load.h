// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "absl/functional/any_invocable.h"
#include "core/base/status.h"
#include "core/runtime/sandbox/sandbox_shim.h"

namespace gantry::runtime {

// Takes up the sandboxes that an earlier daemon left running: connects to their shims, so that they
// are there before the tasks that join them. A shim that cannot be reached for now is tried again
// in the background; what was half made or half removed, and what is left of a shim that is gone,
// is cleaned up there.
absl::Status LoadSandboxes(SandboxEnv& env);

// For a sandbox whose create failed before its shim was reached, so that it is not known whether
// one runs: undoes it as a start of the daemon would. `then` is called when all is undone, or when
// that has to be tried again in the background. Blocks briefly.
void UndoSandboxCreate(SandboxEnv& env, std::shared_ptr<SandboxShim> sandbox,
                       absl::AnyInvocable<void()> then);

}  // namespace gantry::runtime
