// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::namespaces {

// containerd.services.namespaces.v1.Namespaces over the store plugin namespaces-service.
// `workers` outlives the plugin.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::namespaces
