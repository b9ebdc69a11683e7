// SPDX-License-Identifier: Apache-2.0
// gctr: the command line, and what becomes of a command's outcome.
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "cmd/gctr/cli/command_line.h"
#include "cmd/gctr/client/session.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/version.h"

namespace gantry::gctr {
namespace {

struct GlobalFlags {
  ClientOptions client;
  absl::Duration timeout = absl::ZeroDuration();
  absl::Duration connect_timeout = absl::ZeroDuration();
  bool debug = false;
};

// The first of the variables that is set and not empty.
std::string FirstOf(std::initializer_list<const char*> variables, std::string fallback) {
  for (const char* name : variables) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return value;
  }
  return fallback;
}

void AddGlobalFlags(CLI::App& app, GlobalFlags& flags) {
  flags.client.address =
      FirstOf({"GANTRY_ADDRESS", "CONTAINERD_ADDRESS"}, std::string(kDefaultAddress));
  flags.client.ns = FirstOf({"CONTAINERD_NAMESPACE"}, "default");
  app.add_flag("--debug", flags.debug, "Enable debug output");
  app.add_option("-a,--address", flags.client.address,
                 "Address of the daemon's gRPC server ($GANTRY_ADDRESS, $CONTAINERD_ADDRESS)")
      ->capture_default_str();
  AddDuration(app, "--timeout", flags.timeout, "Total timeout for the command");
  AddDuration(app, "--connect-timeout", flags.connect_timeout, "Timeout for connecting");
  app.add_option("-n,--namespace", flags.client.ns,
                 "Namespace to use with commands ($CONTAINERD_NAMESPACE)")
      ->capture_default_str();
}

void AddCommands(CommandLine& line, const Environment& environment) {
  AddPlugins(line.Root());
  AddInfo(line.Root());
  AddContainers(line.Root(), environment);
  AddContent(line.Root(), environment);
  AddEvents(line.Root());
  AddImages(line.Root(), environment);
  AddLeases(line.Root());
  AddNamespaces(line.Root());
  AddRun(line.Root(), environment);
  AddExec(line.Root());
  AddSandboxes(line.Root());
  AddShim(line.Root());
  AddSnapshots(line.Root(), environment);
  AddTasks(line.Root());
  AddOci(line.Root());
  AddUnserved(line.Root());
}

int Main(const std::vector<std::string>& arguments) {
  const Environment environment = Environment::Read();
  CommandLine line(kVersion);
  GlobalFlags flags;
  CommandGroup root = line.Root();
  AddGlobalFlags(root.app(), flags);
  AddCommands(line, environment);
  const CommandLine::Parsed parsed = line.Parse(arguments);
  if (!parsed.action) return parsed.exit_status;
  if (flags.timeout > absl::ZeroDuration()) flags.client.timeout = flags.timeout;
  if (flags.connect_timeout > absl::ZeroDuration()) {
    flags.client.connect_timeout = flags.connect_timeout;
  }
  Session session(flags.client, flags.debug, environment);
  const absl::StatusOr<int> exit_status = parsed.action(session);
  if (!exit_status.ok()) session.Report(exit_status.status());
  // What was printed must have arrived.
  if (std::fflush(stdout) != 0) {
    std::perror("gctr: write output");
    return 1;
  }
  return exit_status.ok() ? *exit_status : 1;
}

}  // namespace
}  // namespace gantry::gctr

int main(int argc, char** argv) { return gantry::gctr::Main({argv + 1, argv + argc}); }
