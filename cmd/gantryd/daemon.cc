// SPDX-License-Identifier: Apache-2.0
#include "cmd/gantryd/daemon.h"

#include <sys/stat.h>
#include <unistd.h>

#include <set>
#include <string>
#include <vector>

#include "cmd/gantryd/builtins.h"
#include "core/log/log.h"

namespace gantry {
namespace {

constexpr std::string_view kGrpcServerUri = "io.containerd.server.v1.grpc";
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

}  // namespace

Daemon::Daemon(config::Config& config) : config_(config), graph_(OptionsOf(config)) {}

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(config::Config& config) {
  constexpr mode_t kRootMode = 0700;
  constexpr mode_t kStateMode = 0711;
  RETURN_IF_ERROR(config.Validate());
  RETURN_IF_ERROR(EnsureFolder(config.root, kRootMode));
  RETURN_IF_ERROR(EnsureFolder(config.state, kStateMode));
  auto daemon = std::unique_ptr<Daemon>(new Daemon(config));
  RETURN_IF_ERROR(daemon->StartPlugins());
  RETURN_IF_ERROR(daemon->Serve());
  return daemon;
}

absl::Status Daemon::StartPlugins() {
  const std::vector<plugin::Registration> builtins = Builtins(host_, graph_);
  std::set<std::string> known;
  for (const plugin::Registration& registration : builtins) known.insert(registration.uri());
  known.emplace(kGrpcServerUri);
  RETURN_IF_ERROR(graph_.Start(
      builtins, [this](std::string_view type, std::string_view id) -> config::Section& {
        return config_.Plugin(fmt::format("{}.{}", type, id));
      }));
  return absl::OkStatus();
}

absl::Status Daemon::Serve() {
  ASSIGN_OR_RETURN(const GrpcServerOptions options, DecodeGrpc(config_.Plugin(kGrpcServerUri)));
  std::vector<rpc::Service*> services;
  for (const auto& [id, service] : graph_.All(rpc::kService)) services.push_back(service);
  ASSIGN_OR_RETURN(server_, GrpcServer::Start(options, services));
  return absl::OkStatus();
}

Daemon::~Daemon() {
  if (server_ != nullptr) server_->Stop(absl::Now() + kDrainTime);
  graph_.Close();
  host_.workers.Stop();
}

}  // namespace gantry
