// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::images {

// containerd.services.images.v1.Images over the store plugin images-service.
// `workers` outlives the plugin.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::images
