// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>

#include "core/runtime/caller.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Makes the task whose id `task` holds reserved, or undoes whatever was made of it. Bounded by its
// own budgets; the caller may leave earlier, which undoes it too.
void RunCreate(TaskEnv& env, std::shared_ptr<Task> task, CreateOptions options,
               std::shared_ptr<Caller<uint32_t>> caller);

}  // namespace gantry::runtime
