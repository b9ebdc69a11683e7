// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/base/context.h"
#include "core/runtime/caller.h"
#include "core/runtime/task.h"
#include "core/runtime/task_env.h"
#include "core/runtime/task_manager.h"
#include "core/runtime/task_types.h"

namespace gantry::runtime {

// Runs a process in the task to its end, in one call if the shim has one for it, else as an exec
// (exec_by_steps.h). Which it is, is learnt with the first call over a connection. The process is
// killed when `ctx` ends.
//
// Threads: any; the caller is answered on another one.
void RunExecSync(TaskEnv& env, TaskManager& tasks, const Context& ctx,
                 const std::shared_ptr<Task>& task, ExecSyncOptions options,
                 std::shared_ptr<Caller<ExecSyncResult>> caller);

}  // namespace gantry::runtime
