// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cmd/gantryd/host.h"
#include "core/plugin/graph.h"
#include "core/plugin/plugin.h"
#include "core/runtime/shim_manager.h"

namespace gantry {

// Every plugin in this binary. `host` outlives them; `graph` is the one that will start them.
std::vector<plugin::Registration> Builtins(Host& host, const plugin::Graph& graph,
                                           const runtime::ShimManager::Options& shims);

}  // namespace gantry
