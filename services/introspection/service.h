// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/worker_pool.h"
#include "core/plugin/graph.h"
#include "core/plugin/plugin.h"

namespace gantry::introspection {

// containerd.services.introspection.v1.Introspection over the plugin graph, which it looks at once
// that has started. Answers without a namespace. `graph` and `workers` outlive the plugin.
plugin::Registration ServicePlugin(const plugin::Graph& graph, base::WorkerPool& workers);

}  // namespace gantry::introspection
