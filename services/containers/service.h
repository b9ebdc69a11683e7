// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::containers {

// containerd.services.containers.v1.Containers over the store plugin containers-service.
// `workers` outlives the plugin.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::containers
