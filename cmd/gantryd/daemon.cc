// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/daemon.h"

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <utility>

#include "absl/time/clock.h"
#include "cmd/gantryd/proxies.h"
#include "cmd/gantryd/root_check.h"
#include "core/base/version.h"
#include "core/events/exchange.h"
#include "core/log/log.h"
#include "core/process/limits.h"
#include "core/process/service_manager.h"
#include "core/runtime/restart/plugin.h"
#include "core/streaming/stream_registry.h"
#include "services/server/grpc_server.h"
#include "services/server/ttrpc_server.h"

namespace gantry {
namespace {

// Calls under way get this long when the daemon stops.
constexpr absl::Duration kDrainTime = absl::Seconds(5);
// How long a daemon waits for its predecessor to be gone, unless the configuration says.
constexpr absl::Duration kLockPatience = absl::Seconds(10);
constexpr std::string_view kLockTimeout = "io.containerd.timeout.bolt.open";

plugin::GraphOptions OptionsOf(const config::Config& config) {
  return {.root = config.root,
          .state = config.state,
          .disabled = {config.disabled_plugins.begin(), config.disabled_plugins.end()},
          .required = {config.required_plugins.begin(), config.required_plugins.end()}};
}

// What shims are told of us, and how long they may take.
absl::StatusOr<runtime::ShimManager::Options> ShimOptions(const config::Config& config,
                                                          const Host& host,
                                                          const std::string& grpc_address,
                                                          const std::string& ttrpc_address) {
  std::error_code error;
  runtime::ShimManager::Options options;
  options.launcher.daemon_version = kApiVersion;
  options.launcher.daemon_binary = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return FromErrno(error.value(), "read /proc/self/exe");
  options.launcher.grpc_address = grpc_address;
  options.launcher.ttrpc_address = ttrpc_address;
  options.launcher.open_files = host.open_files_of_shims;
  options.launcher.debug = config.debug.level == "debug" || config.debug.level == "trace";
  options.timeouts.load = config.Timeout("io.containerd.timeout.shim.load");
  options.timeouts.cleanup = config.Timeout("io.containerd.timeout.shim.cleanup");
  options.timeouts.shutdown = config.Timeout("io.containerd.timeout.shim.shutdown");
  options.timeouts.state = config.Timeout("io.containerd.timeout.task.state");
  options.timeouts.shim_stats = config.Timeout("io.containerd.timeout.metrics.shimstats");
  return options;
}

void AddBuildInfo(std::vector<metrics::Family>& families) {
  families.push_back({.name = "containerd_build_info_total",
                      .help = "The daemon's version and revision.",
                      .type = metrics::Type::kCounter,
                      .samples = {{{{"version", kApiVersion}, {"revision", kRevision}}, 1}}});
}

}  // namespace

absl::StatusOr<std::vector<plugin::Registration>> Registrations(config::Config& config, Host& host,
                                                                const plugin::Graph& graph,
                                                                StateReport& report) {
  ASSIGN_OR_RETURN(const server::GrpcOptions grpc,
                   server::DecodeGrpc(config.Plugin(server::kGrpcUri)));
  ASSIGN_OR_RETURN(const server::SocketOptions ttrpc,
                   server::DecodeTtrpc(config.Plugin(server::kTtrpcUri), grpc.socket));
  ASSIGN_OR_RETURN(runtime::ShimManager::Options shims,
                   ShimOptions(config, host, grpc.socket.address, ttrpc.address));
  host.temp_mounts = std::filesystem::path(config.root) / "tmpmounts";
  host.stream_processors = config.stream_processors;
  std::vector<plugin::Registration> plugins =
      Builtins(host, graph,
               {.shims = std::move(shims),
                .grpc_socket = grpc.socket,
                .debug = {.vars = [&report] { return report.Vars(); },
                          .stacks = [&report] { return report.Stacks(); },
                          .state = [&report] { return report.State(); }}});
  std::ranges::move(ProxyPlugins(config), std::back_inserter(plugins));
  return plugins;
}

Daemon::Daemon(config::Config& config)
    : config_(config),
      report_(&graph_),
      build_info_(host_.metrics.Add(AddBuildInfo)),
      graph_(OptionsOf(config)) {}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(config::Config& config) {
  const absl::Time start = absl::Now();
  auto daemon = std::unique_ptr<Daemon>(new Daemon(config));
  RETURN_IF_ERROR(daemon->TakeLocks());
  RETURN_IF_ERROR(CheckKnownRoot(config));
  daemon->RaiseOpenFiles();
  RETURN_IF_ERROR(daemon->StartPlugins());
  RETURN_IF_ERROR(daemon->Serve());
  log::Info(
      "gantryd has started",
      {{"version", kVersion}, {"duration_ms", absl::ToInt64Milliseconds(absl::Now() - start)}});
  return daemon;
}

absl::Status Daemon::TakeLocks() {
  absl::Duration patience = config_.Timeout(kLockTimeout);
  if (patience <= absl::ZeroDuration()) patience = kLockPatience;
  for (const std::string& folder : {config_.root, config_.state}) {
    ASSIGN_OR_RETURN(process::FolderLock lock, process::FolderLock::Take(folder, patience));
    locks_.push_back(std::move(lock));
  }
  return absl::OkStatus();
}

void Daemon::RaiseOpenFiles() {
  const absl::StatusOr<rlimit> before = process::RaiseOpenFiles();
  if (before.ok()) {
    host_.open_files_of_shims = *before;
  } else {
    log::Warn("open files stay limited", {{"error", before.status()}});
  }
}

absl::Status Daemon::StartPlugins() {
  ASSIGN_OR_RETURN(const std::vector<plugin::Registration> plugins,
                   Registrations(config_, host_, graph_, report_));
  std::set<std::string> known;
  for (const plugin::Registration& plugin : plugins) {
    known.insert(plugin.uri());
    // Reading each section marks its keys as known; what is wrong with one, its plugin will say.
    if (plugin.configure) plugin.configure(config_.Plugin(plugin.uri())).IgnoreError();
  }
  for (const config::Warning& warning : config_.Warnings(known)) {
    log::Warn(warning.text, {{"key", warning.key}, {"position", warning.position.ToString()}});
  }
  return graph_.Start(plugins,
                      [this](std::string_view type, std::string_view id) -> config::Section& {
                        return config_.Plugin(fmt::format("{}.{}", type, id));
                      });
}

absl::Status Daemon::Serve() {
  // The gRPC socket makes the folder that the others lie in.
  ASSIGN_OR_RETURN(server::Server * grpc, graph_.Get(server::kServer, "grpc"));
  std::vector<server::Server*> servers = {grpc};
  for (const auto& [id, server] : graph_.All(server::kServer)) {
    if (server != grpc) servers.push_back(server);
  }
  for (server::Server* server : servers) {
    RETURN_IF_ERROR(server->Start());
    servers_.push_back(server);
  }
  // Shims that it starts find the sockets.
  const auto restarts = graph_.Get(runtime::restart::kContainerMonitor);
  if (restarts.ok()) (*restarts)->Start();
  return absl::OkStatus();
}

void Daemon::StopRestarts() {
  const auto restarts = graph_.Get(runtime::restart::kContainerMonitor);
  if (restarts.ok()) (*restarts)->Stop();
}

void Daemon::EndSubscriptions() {
  if (const auto exchange = graph_.Get(events::kExchange); exchange.ok()) (*exchange)->Close();
  if (const auto streams = graph_.Get(streaming::kStreams); streams.ok()) (*streams)->CloseAll();
}

Daemon::~Daemon() {
  StopRestarts();
  EndSubscriptions();
  const absl::Time deadline = absl::Now() + kDrainTime;
  for (server::Server* server : servers_) server->Stop(deadline);
  graph_.Close();
  host_.workers.Stop();
}

}  // namespace gantry
