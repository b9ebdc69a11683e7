// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::leases {

// containerd.services.leases.v1.Leases over the lease manager plugin.
// `workers` outlives the plugin.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::leases
