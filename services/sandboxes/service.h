// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/plugin.h"

namespace gantry::sandbox {

// containerd.services.sandbox.v1.Store as plugin sandboxes. `workers` outlives it.
plugin::Registration StoreServicePlugin(base::WorkerPool& workers);

// containerd.services.sandbox.v1.Controller as plugin sandbox-controllers: hands each call to the
// controller that the request names. Where none is there at all, calls are Unimplemented.
plugin::Registration ControllerServicePlugin(base::WorkerPool& workers);

}  // namespace gantry::sandbox
