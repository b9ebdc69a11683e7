// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/functional/any_invocable.h"
#include "core/runtime/task_env.h"
#include "core/runtime/task_types.h"

namespace gantry::runtime {

// Calls `then` once all that an ended process wrote has been read from its fifos, or is not going
// to be.
//
// The shim copies a process's last output while it tells how the process ended. Clients close their
// ends of the fifos when they learn of that, ctr 2.x among them: those who learn of it too early
// lose what is still on its way. So whoever waits for an end is told of it after the output.
//
// That has bounds: output that nobody takes, and a writer that outlived the process and is silent,
// delay `then` by a fraction of a second; an endless stream by two.
//
// Threads: any. `then` is called on this one if there are no fifos, else on one of the steps'.
void AwaitOutput(TaskEnv& env, const Stdio& stdio, absl::AnyInvocable<void()> then);

}  // namespace gantry::runtime
