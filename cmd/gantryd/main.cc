// SPDX-License-Identifier: Apache-2.0
// gantryd: the container runtime daemon. Arguments and wiring; what it does lives in the rooms.
#include <malloc.h>
#include <signal.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>

#include "absl/debugging/symbolize.h"
#include "cmd/gantryd/config_command.h"
#include "cmd/gantryd/daemon.h"
#include "cmd/gantryd/environment.h"
#include "cmd/gantryd/publish.h"
#include "cmd/gantryd/root_check.h"
#include "core/base/version.h"
#include "core/config/config.h"
#include "core/log/log.h"
#include "core/process/service_manager.h"

namespace gantry {
namespace {

struct Flags {
  std::string config;
  std::string log_level;
  std::string address;
  std::string root;
  std::string state;
};

enum class MissingFile { kOnlyDefault, kAny };

// The configuration: file, then flags. A file that was named must exist, but where only a look at
// the settings is wanted.
absl::StatusOr<config::Config> LoadConfig(const Flags& flags, MissingFile may_miss) {
  const std::string file = flags.config.empty() ? std::string(config::kDefaultFile) : flags.config;
  absl::StatusOr<config::Config> config = config::Config::Load(file);
  if (absl::IsNotFound(config.status()) &&
      (flags.config.empty() || may_miss == MissingFile::kAny)) {
    config = config::Config::Default();
  }
  if (!config.ok()) return config;
  if (!flags.root.empty()) config->root = flags.root;
  if (!flags.state.empty()) config->state = flags.state;
  if (!flags.log_level.empty()) config->debug.level = flags.log_level;
  if (!flags.address.empty()) {
    config->Plugin(server::kGrpcUri).Set("address", config::ToValue(flags.address));
  }
  RETURN_IF_ERROR(config->Validate());
  return config;
}

void ConfigureLog(const config::Debug& debug) {
  log::Level level = log::Level::kInfo;
  log::ParseLevel(debug.level, level);
  log::Configure(level, debug.format == "json" ? log::Format::kJson : log::Format::kText);
}

// Blocks what the main thread waits for. Before any thread starts, so that all inherit it.
sigset_t BlockSignals() {
  sigset_t handled;
  ::sigemptyset(&handled);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) ::sigaddset(&handled, signal);
  ::pthread_sigmask(SIG_BLOCK, &handled, nullptr);
  return handled;
}

void DumpState(StateReport& report) {
  const char* folder = std::getenv("TMPDIR");
  const auto file = report.WriteTo(folder != nullptr && *folder != '\0' ? folder : "/tmp");
  if (file.ok()) {
    log::Info("state dumped", {{"file", file->string()}});
  } else {
    log::Warn("cannot dump the state", {{"error", file.status()}});
  }
}

void Notify(std::string_view state) {
  if (const absl::Status status = process::NotifyServiceManager(state); !status.ok()) {
    log::Warn("cannot notify the service manager", {{"error", status}});
  }
}

// Ends the process if stopping takes too long: what is wedged must not keep a successor waiting.
class StopLimit {
 public:
  explicit StopLimit(StateReport& report)
      : thread_([this, &report](const std::stop_token& stop) { Watch(stop, report); }) {}

 private:
  static constexpr std::chrono::seconds kLimit{30};

  void Watch(const std::stop_token& stop, StateReport& report) {
    std::unique_lock lock(mutex_);
    if (stopped_.wait_for(lock, stop, kLimit, [&stop] { return stop.stop_requested(); })) return;
    log::Write(log::Level::kFatal, "stopping takes too long, giving up", {});
    DumpState(report);
    std::_Exit(1);
  }

  std::mutex mutex_;
  std::condition_variable_any stopped_;
  std::jthread thread_;
};

absl::Status Run(const Flags& flags) {
  ASSIGN_OR_RETURN(config::Config config, LoadConfig(flags, MissingFile::kOnlyDefault));
  ConfigureLog(config.debug);
  RETURN_IF_ERROR(CheckForeignRoot(config));
  RETURN_IF_ERROR(PrepareEnvironment(config));
  const sigset_t handled = BlockSignals();
  ASSIGN_OR_RETURN(std::unique_ptr<Daemon> daemon, Daemon::Start(config));
  Notify("READY=1");
  int signal = 0;
  while (::sigwait(&handled, &signal) != 0 || signal == SIGHUP || signal == SIGUSR1) {
    DumpState(daemon->report());
  }
  log::Info("stopping", {{"signal", signal}});
  Notify("STOPPING=1");
  const StopLimit limit(daemon->report());
  daemon.reset();
  log::Info("stopped");
  return absl::OkStatus();
}

absl::Status PrintDefault() {
  ASSIGN_OR_RETURN(config::Config config, config::Config::Default());
  return PrintConfig(config);
}

absl::Status PrintEffective(const Flags& flags) {
  ASSIGN_OR_RETURN(config::Config config, LoadConfig(flags, MissingFile::kAny));
  return PrintConfig(config);
}

// What the command line asks for; set by parsing it.
struct Command {
  Flags flags;
  PublishFlags event;
  std::function<absl::Status(Command&)> run = [](Command& command) { return Run(command.flags); };
};

void AddOptions(CLI::App& app, Flags& flags) {
  app.add_option("-c,--config", flags.config, "configuration file")->take_last();
  app.add_option("-l,--log-level", flags.log_level,
                 "trace, debug, info, warn, error, fatal or panic")
      ->take_last();
  app.add_option("-a,--address", flags.address, "address of the gRPC socket")->take_last();
  app.add_option("--root", flags.root, "folder of what outlives a reboot")->take_last();
  app.add_option("--state", flags.state, "folder of what does not")->take_last();
  app.set_version_flag("-v,--version", std::string("gantryd ") + kVersion);
}

void AddConfigCommand(CLI::App& app, Command& command) {
  CLI::App* config = app.add_subcommand("config", "show the configuration");
  config->require_subcommand(1);
  config->fallthrough();
  config->add_subcommand("default", "print the built-in configuration")->callback([&command] {
    command.run = [](Command&) { return PrintDefault(); };
  });
  for (const auto& [name, help] :
       {std::pair("dump", "print the effective configuration, imports included"),
        std::pair("migrate", "print the effective configuration as version 4")}) {
    config->add_subcommand(name, help)->fallthrough()->callback([&command] {
      command.run = [](Command& asked) { return PrintEffective(asked.flags); };
    });
  }
}

void AddPublishCommand(CLI::App& app, Command& command) {
  PublishFlags& event = command.event;
  CLI::App* publish =
      app.add_subcommand("publish", "send an event, read from standard input, to the daemon");
  publish->add_option("--topic", event.topic, "topic of the event")->required();
  publish->add_option("--namespace", event.ns, "namespace of the event")->required();
  publish->add_option("--address", event.address, "address of the gRPC socket");
  publish->fallthrough();
  publish->callback([&command] {
    command.run = [](Command& asked) {
      std::string& address = asked.event.address;
      if (address.empty()) address = asked.flags.address;
      if (address.empty()) address = config::kDefaultAddress;
      return Publish(asked.event);
    };
  });
}

}  // namespace
}  // namespace gantry

int main(int argc, char** argv) {
  // One heap per core would keep what bursts of calls once needed; two are enough for the worker
  // pool.
  ::mallopt(M_ARENA_MAX, 2);
  ::signal(SIGPIPE, SIG_IGN);
  absl::InitializeSymbolizer(argv[0]);
  gantry::Command command;
  CLI::App app("gantry: a containerd-compatible container runtime", "gantryd");
  gantry::AddOptions(app, command.flags);
  gantry::AddConfigCommand(app, command);
  gantry::AddPublishCommand(app, command);
  CLI11_PARSE(app, argc, argv);
  const absl::Status status = command.run(command);
  if (status.ok()) return 0;
  std::fprintf(stderr, "gantryd: %s\n", status.ToString().c_str());
  return 1;
}
