// SPDX-License-Identifier: Apache-2.0
// The daemon's sockets as plugins of io.containerd.server.v1, and what counts the gRPC calls.
#pragma once

#include <functional>
#include <string>

#include "core/metrics/registry.h"
#include "core/plugin/plugin.h"
#include "services/server/call_table.h"
#include "services/server/socket.h"

namespace gantry::server {

inline constexpr plugin::Kind<CallTable> kCallTable{"io.containerd.metrics.v1"};

inline constexpr std::string_view kGrpcUri = "io.containerd.server.v1.grpc";
inline constexpr std::string_view kTtrpcUri = "io.containerd.server.v1.ttrpc";

// The table of gRPC calls as plugin grpc-prometheus. `registry` outlives it.
plugin::Registration CallTablePlugin(metrics::Registry& registry);

// gRPC for all services, on a unix socket.
plugin::Registration GrpcPlugin();

// gRPC over TCP is for services that allow it; there is none, so an address is refused.
plugin::Registration GrpcTcpPlugin();

// ttrpc for shims; `grpc` is the socket that it follows where it has no settings of its own.
plugin::Registration TtrpcPlugin(const SocketOptions& grpc);

// Prometheus' text at /v1/metrics. Skipped without an address.
plugin::Registration MetricsPlugin(const metrics::Registry& registry);

// What a debug server shows.
struct DebugSources {
  std::function<std::string()> vars;    // JSON
  std::function<std::string()> stacks;  // text, what every thread does
  std::function<std::string()> state;   // text, what the daemon does
};

// /debug/vars, /debug/state and /debug/pprof/goroutine; the other profiles of /debug/pprof/ answer
// 501. Skipped without an address.
plugin::Registration DebugPlugin(DebugSources sources);

}  // namespace gantry::server
