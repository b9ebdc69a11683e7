// SPDX-License-Identifier: Apache-2.0
// Learning how processes end, and seeing to it that everybody else learns it once.
#pragma once

#include <memory>
#include <string>

#include "core/runtime/task.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Asks the shim to say how the process ends and passes that to who waits. Of the init process it
// also makes sure that the exit is announced: by the shim, or else by us.
void WatchExit(TaskEnv& env, const std::shared_ptr<Task>& task, const std::string& exec_id);

// Notes in the bundle that the exit is out, so that a new daemon does not announce it again.
void NoteExit(TaskEnv& env, const Task& task, const Exit& exit);

// Announces the exit of the init process unless somebody has, and notes in the bundle that it was.
void AnnounceExit(TaskEnv& env, const std::shared_ptr<Task>& task, const Exit& exit);

void PublishExit(TaskEnv& env, const Task& task, const Exit& exit);
void PublishDelete(TaskEnv& env, const Task& task, const Exit& exit);

}  // namespace gantry::runtime
