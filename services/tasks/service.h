// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::tasks {

// containerd.services.tasks.v1.Tasks as plugin tasks, over plugin tasks-service. `workers` outlives
// it.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::tasks
