// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>

#include <memory>

#include "core/runtime/caller.h"
#include "core/runtime/task_env.h"

namespace gantry::runtime {

// The resource usage of a task, as a cgroup metrics message. Read from the cgroup's files where the
// shim is one that would read the same, otherwise asked of the shim. NotFound without a cgroup.
void CollectStats(TaskEnv& env, const std::shared_ptr<Task>& task,
                  Done<google::protobuf::Any> done);

}  // namespace gantry::runtime
