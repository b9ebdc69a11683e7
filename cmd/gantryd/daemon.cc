// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/daemon.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <set>
#include <string>
#include <vector>

#include "cmd/gantryd/builtins.h"
#include "cmd/gantryd/proxies.h"
#include "core/base/version.h"
#include "core/events/exchange.h"
#include "core/log/log.h"

namespace gantry {
namespace {

constexpr std::string_view kGrpcServerUri = "io.containerd.server.v1.grpc";
constexpr std::string_view kTtrpcServerUri = "io.containerd.server.v1.ttrpc";
// Calls under way get this long when the daemon stops.
constexpr absl::Duration kDrainTime = absl::Seconds(5);

absl::Status EnsureFolder(const std::filesystem::path& folder, mode_t mode) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) return FromErrno(error.value(), fmt::format("create {}", folder.string()));
  if (::chmod(folder.c_str(), mode) != 0)
    return FromErrno(errno, fmt::format("chmod {}", folder.string()));
  return absl::OkStatus();
}

plugin::GraphOptions OptionsOf(const config::Config& config) {
  return {.root = config.root,
          .state = config.state,
          .disabled = {config.disabled_plugins.begin(), config.disabled_plugins.end()},
          .required = {config.required_plugins.begin(), config.required_plugins.end()}};
}

absl::StatusOr<GrpcServerOptions> DecodeGrpc(config::Section& section) {
  GrpcServerOptions options;
  ASSIGN_OR_RETURN(options.address, section.Get("address", std::string(config::kDefaultAddress)));
  ASSIGN_OR_RETURN(options.uid, section.Get("uid", ::geteuid()));
  ASSIGN_OR_RETURN(options.gid, section.Get("gid", ::getegid()));
  ASSIGN_OR_RETURN(options.max_recv_message_bytes,
                   section.Get("max_recv_message_size", options.max_recv_message_bytes));
  ASSIGN_OR_RETURN(options.max_send_message_bytes,
                   section.Get("max_send_message_size", options.max_send_message_bytes));
  return options;
}

absl::StatusOr<TtrpcServerOptions> DecodeTtrpc(config::Section& section,
                                               const GrpcServerOptions& grpc) {
  TtrpcServerOptions options;
  ASSIGN_OR_RETURN(options.address, section.Get("address", std::string()));
  ASSIGN_OR_RETURN(options.uid, section.Get("uid", uid_t{0}));
  ASSIGN_OR_RETURN(options.gid, section.Get("gid", gid_t{0}));
  if (options.address.empty()) options.address = grpc.address + ".ttrpc";
  if (options.uid == 0) options.uid = grpc.uid;
  if (options.gid == 0) options.gid = grpc.gid;
  return options;
}

// What shims are told of us, and how long they may take.
absl::StatusOr<runtime::ShimManager::Options> ShimOptions(const config::Config& config,
                                                          const GrpcServerOptions& grpc,
                                                          const TtrpcServerOptions& ttrpc) {
  std::error_code error;
  runtime::ShimManager::Options options;
  options.launcher.daemon_version = kApiVersion;
  options.launcher.daemon_binary = std::filesystem::read_symlink("/proc/self/exe", error);
  if (error) return FromErrno(error.value(), "read /proc/self/exe");
  options.launcher.grpc_address = grpc.address;
  options.launcher.ttrpc_address = ttrpc.address;
  options.launcher.debug = config.debug.level == "debug" || config.debug.level == "trace";
  options.timeouts.load = config.Timeout("io.containerd.timeout.shim.load");
  options.timeouts.cleanup = config.Timeout("io.containerd.timeout.shim.cleanup");
  options.timeouts.shutdown = config.Timeout("io.containerd.timeout.shim.shutdown");
  options.timeouts.state = config.Timeout("io.containerd.timeout.task.state");
  options.timeouts.shim_stats = config.Timeout("io.containerd.timeout.metrics.shimstats");
  return options;
}

}  // namespace

Daemon::Daemon(config::Config& config) : config_(config), graph_(OptionsOf(config)) {}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(config::Config& config) {
  constexpr mode_t kRootMode = 0700;
  constexpr mode_t kStateMode = 0711;
  RETURN_IF_ERROR(config.Validate());
  RETURN_IF_ERROR(EnsureFolder(config.root, kRootMode));
  RETURN_IF_ERROR(EnsureFolder(config.state, kStateMode));
  auto daemon = std::unique_ptr<Daemon>(new Daemon(config));
  RETURN_IF_ERROR(daemon->DecodeServers());
  RETURN_IF_ERROR(daemon->StartPlugins());
  RETURN_IF_ERROR(daemon->Serve());
  return daemon;
}

absl::Status Daemon::DecodeServers() {
  ASSIGN_OR_RETURN(grpc_options_, DecodeGrpc(config_.Plugin(kGrpcServerUri)));
  ASSIGN_OR_RETURN(ttrpc_options_, DecodeTtrpc(config_.Plugin(kTtrpcServerUri), grpc_options_));
  return absl::OkStatus();
}

absl::Status Daemon::StartPlugins() {
  ASSIGN_OR_RETURN(const runtime::ShimManager::Options shims,
                   ShimOptions(config_, grpc_options_, ttrpc_options_));
  std::vector<plugin::Registration> plugins = Builtins(host_, graph_, shims);
  std::ranges::move(ProxyPlugins(config_), std::back_inserter(plugins));
  std::set<std::string> known = {std::string(kGrpcServerUri), std::string(kTtrpcServerUri)};
  for (const plugin::Registration& registration : plugins) known.insert(registration.uri());
  RETURN_IF_ERROR(
      graph_.Start(plugins, [this](std::string_view type, std::string_view id) -> config::Section& {
        return config_.Plugin(fmt::format("{}.{}", type, id));
      }));
  for (const config::Warning& warning : config_.Warnings(known)) {
    log::Warn(warning.text, {{"key", warning.key}, {"position", warning.position.ToString()}});
  }
  return absl::OkStatus();
}

absl::Status Daemon::Serve() {
  std::vector<rpc::Service*> services;
  for (const auto& [id, service] : graph_.All(rpc::kService)) services.push_back(service);
  // The gRPC server makes the folder that both sockets lie in.
  ASSIGN_OR_RETURN(server_, GrpcServer::Start(grpc_options_, services));
  ASSIGN_OR_RETURN(events::Exchange * exchange, graph_.Get(events::kExchange));
  ASSIGN_OR_RETURN(ttrpc_server_, TtrpcServer::Start(ttrpc_options_, *exchange));
  return absl::OkStatus();
}

Daemon::~Daemon() {
  if (server_ != nullptr) server_->Stop(absl::Now() + kDrainTime);
  ttrpc_server_.reset();
  graph_.Close();
  host_.workers.Stop();
}

}  // namespace gantry
