// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Deletes the task in its shim, then ends the shim, removes the bundle and frees the id; answers
// who joined through Task::FinishDelete(). While the shim has not agreed, the task stays as it is.
void RunDelete(TaskEnv& env, const std::shared_ptr<Task>& task);

}  // namespace gantry::runtime
