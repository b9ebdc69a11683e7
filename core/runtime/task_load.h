// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "core/base/status.h"
#include "core/runtime/task_end.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Takes up the tasks that an earlier daemon left running: puts one per bundle into the table, in
// phase kLoading, and starts to reconnect to their shims, all at once. Waits for none of them; a
// shim that does not answer keeps only its own tasks from becoming ready, and does so once it
// answers. Removes what was half made or half removed.
absl::Status LoadTasks(TaskEnv& env);

// Undoes, as LoadTasks() would, a create whose shim was perhaps started but could not be spoken to.
// `task` is in phase kCreating. Tries for as long as the shim may be alive; `then` is called when
// all is undone, or when the shim turns out to be out of reach for now.
void UndoCreate(TaskEnv& env, std::shared_ptr<Task> task, Then then);

// Whether what failed with this may succeed later as it is: for want of descriptors, memory or
// room.
bool MayPass(const absl::Status& status);

}  // namespace gantry::runtime
