// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::mount {

// containerd.services.mounts.v1.Mounts as plugin mounts. `workers`, which outlives it, serves the
// questions; mounting, which may hang with a server behind it, has threads of its own.
plugin::Registration ServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::mount
