// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::content {

// containerd.services.content.v1.Content over the store plugin content-service.
// `workers` outlives the plugin.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::content
