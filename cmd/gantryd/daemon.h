// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>

#include "cmd/gantryd/grpc_server.h"
#include "cmd/gantryd/host.h"
#include "cmd/gantryd/ttrpc_server.h"
#include "core/base/status.h"
#include "core/config/config.h"
#include "core/plugin/graph.h"

namespace gantry {

// The running daemon: folders, plugins, sockets.
//
// Threads: one at a time.
class Daemon {
 public:
  // Starts everything; the sockets accept once this returns. `config` outlives the daemon.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(config::Config& config);
  // Stops serving, then closes the plugins in reverse order. Running containers are left alone.
  ~Daemon();

 private:
  explicit Daemon(config::Config& config);

  absl::Status DecodeServers();
  absl::Status StartPlugins();
  absl::Status Serve();

  config::Config& config_;
  Host host_;
  plugin::Graph graph_;
  GrpcServerOptions grpc_options_;
  TtrpcServerOptions ttrpc_options_;
  std::unique_ptr<TtrpcServer> ttrpc_server_;
  std::unique_ptr<GrpcServer> server_;
};

}  // namespace gantry
