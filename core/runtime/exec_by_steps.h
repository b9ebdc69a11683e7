// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <memory>

#include "core/runtime/caller.h"
#include "core/runtime/task.h"
#include "core/runtime/task_env.h"
#include "core/runtime/task_manager.h"
#include "core/runtime/task_types.h"

namespace gantry::runtime {

// Runs a process to its end by the calls of the task service, for shims that have nothing shorter:
// an exec with two fifos in the bundle, which are read here. It is killed alone; what it has
// started may live on.
//
// Answers once, on another thread. The function that is given back ends the process early and may
// be called at any time, from any thread.
std::function<void()> ExecBySteps(TaskEnv& env, TaskManager& tasks,
                                  const std::shared_ptr<Task>& task, ExecSyncOptions options,
                                  Done<ExecSyncResult> done);

}  // namespace gantry::runtime
