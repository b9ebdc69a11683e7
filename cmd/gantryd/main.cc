// SPDX-License-Identifier: Apache-2.0
// gantryd: the container runtime daemon. Arguments and wiring; what it does lives in the rooms.
#include <malloc.h>
#include <signal.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <string>

#include "cmd/gantryd/daemon.h"
#include "cmd/gantryd/publish.h"
#include "core/base/version.h"
#include "core/config/config.h"
#include "core/log/log.h"

namespace gantry {
namespace {

struct Flags {
  std::string config;
  std::string log_level;
  std::string address;
  std::string root;
  std::string state;
};

absl::StatusOr<config::Config> LoadConfig(const Flags& flags) {
  const std::string file = flags.config.empty() ? std::string(config::kDefaultFile) : flags.config;
  absl::StatusOr<config::Config> config = config::Config::Load(file);
  // Only the default file may be missing.
  if (absl::IsNotFound(config.status()) && flags.config.empty()) config = config::Config::Default();
  if (!config.ok()) return config;
  if (!flags.root.empty()) config->root = flags.root;
  if (!flags.state.empty()) config->state = flags.state;
  if (!flags.log_level.empty()) config->debug.level = flags.log_level;
  if (!flags.address.empty()) {
    config->Plugin("io.containerd.server.v1.grpc").Set("address", config::ToValue(flags.address));
  }
  return config;
}

absl::Status ConfigureLog(const config::Debug& debug) {
  log::Level level = log::Level::kInfo;
  if (!debug.level.empty() && !log::ParseLevel(debug.level, level)) {
    return InvalidArgument("unknown log level {:?}", debug.level);
  }
  log::Configure(level, debug.format == "json" ? log::Format::kJson : log::Format::kText);
  return absl::OkStatus();
}

absl::Status Run(const Flags& flags) {
  ASSIGN_OR_RETURN(config::Config config, LoadConfig(flags));
  RETURN_IF_ERROR(ConfigureLog(config.debug));
  // Blocked before any thread starts, so that all inherit it and only sigwait() takes them.
  sigset_t stops;
  ::sigemptyset(&stops);
  ::sigaddset(&stops, SIGTERM);
  ::sigaddset(&stops, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &stops, nullptr);
  ASSIGN_OR_RETURN(const std::unique_ptr<Daemon> daemon, Daemon::Start(config));
  int signal = 0;
  ::sigwait(&stops, &signal);
  log::Info("stopping", {{"signal", signal}});
  return absl::OkStatus();
}

}  // namespace
}  // namespace gantry

int main(int argc, char** argv) {
  // One heap per core would keep what bursts of calls once needed; two are enough for the worker
  // pool.
  ::mallopt(M_ARENA_MAX, 2);
  ::signal(SIGPIPE, SIG_IGN);
  gantry::Flags flags;
  CLI::App app("gantry: a containerd-compatible container runtime", "gantryd");
  app.add_option("-c,--config", flags.config, "configuration file");
  app.add_option("-l,--log-level", flags.log_level,
                 "trace, debug, info, warn, error, fatal or panic");
  app.add_option("-a,--address", flags.address, "address of the gRPC socket");
  app.add_option("--root", flags.root, "folder of what outlives a reboot");
  app.add_option("--state", flags.state, "folder of what does not");
  app.set_version_flag("-v,--version", std::string("gantryd ") + gantry::kVersion);
  gantry::PublishFlags event;
  CLI::App* publish =
      app.add_subcommand("publish", "send an event, read from standard input, to the daemon");
  publish->add_option("--topic", event.topic, "topic of the event")->required();
  publish->add_option("--namespace", event.ns, "namespace of the event")->required();
  publish->add_option("--address", event.address, "address of the gRPC socket");
  publish->fallthrough();
  CLI11_PARSE(app, argc, argv);
  if (event.address.empty())
    event.address = flags.address.empty() ? gantry::config::kDefaultAddress : flags.address;
  const absl::Status status = publish->parsed() ? gantry::Publish(event) : gantry::Run(flags);
  if (status.ok()) return 0;
  std::fprintf(stderr, "gantryd: %s\n", status.ToString().c_str());
  return 1;
}
