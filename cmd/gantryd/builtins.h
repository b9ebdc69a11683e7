// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "cmd/gantryd/host.h"
#include "core/plugin/graph.h"
#include "core/plugin/plugin.h"
#include "core/runtime/shim_manager.h"
#include "services/server/plugins.h"
#include "services/server/socket.h"

namespace gantry {

// What plugins need to know of the daemon around them.
struct Surroundings {
  runtime::ShimManager::Options shims;
  server::SocketOptions grpc_socket;
  server::DebugSources debug;
};

// Every plugin in this binary. `host` outlives them; `graph` is the one that will start them.
std::vector<plugin::Registration> Builtins(Host& host, const plugin::Graph& graph,
                                           const Surroundings& surroundings);

}  // namespace gantry
