// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <memory>

#include "core/runtime/caller.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// Notes where a new task's cgroup is, while its process is still where its runtime put it. Reads
// /proc.
void LocateCgroup(Task& task);

// The resource usage of a task, as a cgroup metrics message. Read from the cgroup's files where
// they are known and the shim is one that would read the same, otherwise asked of the shim.
// NotFound without a cgroup.
void CollectStats(TaskEnv& env, const std::shared_ptr<Task>& task,
                  Done<google::protobuf::Any> done);

}  // namespace gantry::runtime
