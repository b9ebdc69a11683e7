// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "cmd/gantryd/builtins.h"
#include "cmd/gantryd/host.h"
#include "cmd/gantryd/state_report.h"
#include "core/base/status.h"
#include "core/config/config.h"
#include "core/plugin/graph.h"
#include "core/process/folder_lock.h"
#include "services/server/server.h"

namespace gantry {

// The running daemon: locks, plugins, sockets.
//
// Threads: one at a time.
class Daemon {
 public:
  // Starts everything; the sockets accept once this returns. `config` outlives the daemon.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(config::Config& config);
  // Stops serving, then closes the plugins in reverse order. Running containers are left alone.
  ~Daemon();

  // What the daemon and its threads are doing; safe to call while anything is stuck.
  StateReport& report() { return report_; }

 private:
  explicit Daemon(config::Config& config);

  absl::Status TakeLocks();
  void RaiseOpenFiles();
  absl::Status StartPlugins();
  absl::Status Serve();
  void EndSubscriptions();
  void StopRestarts();

  config::Config& config_;
  std::vector<process::FolderLock> locks_;
  StateReport report_;
  Host host_;
  metrics::Registry::Registration build_info_;
  plugin::Graph graph_;
  std::vector<server::Server*> servers_;  // started
};

// The plugins as `config` wants them, none of them started, and the URIs of all. For what only
// looks at their settings, too. Everything outlives them.
absl::StatusOr<std::vector<plugin::Registration>> Registrations(config::Config& config, Host& host,
                                                                const plugin::Graph& graph,
                                                                StateReport& report);

}  // namespace gantry
