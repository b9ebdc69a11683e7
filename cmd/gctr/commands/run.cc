// SPDX-License-Identifier: Apache-2.0
// gctr run: a container from an image to its exit status.
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/create.h"
#include "cmd/gctr/process/signal_source.h"
#include "cmd/gctr/process/task_run.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;

struct Options {
  std::vector<std::string> arguments;
  ContainerFlags flags;
  TaskFlags task;
  bool rm = false;
  std::optional<std::string> dump_config;
};

absl::Status CheckFlags(const Options& options) {
  if (options.rm && options.task.detach) {
    return InvalidArgument("flags --detach and --rm cannot be specified together");
  }
  if (options.dump_config && options.dump_config->empty()) {
    return InvalidArgument("file name is required with --dump-config");
  }
  return CheckIoSettings(options.task.Io(options.flags.tty));
}

absl::Status DumpConfig(const Options& options, const Json& spec) {
  if (!options.dump_config) return absl::OkStatus();
  return ToStatus(kernel::WriteFileAtomic(*options.dump_config, DumpJson(spec, 2), 0644,
                                          kernel::Durability::kNone));
}

absl::StatusOr<int> Run(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const ContainerArguments arguments,
                   ParseContainerArguments(options.flags, options.arguments));
  RETURN_IF_ERROR(CheckFlags(options));
  ASSIGN_OR_RETURN(SignalSource signals, SignalSource::Make());
  ASSIGN_OR_RETURN(Client * client, session.Connect());
  ASSIGN_OR_RETURN(const containers::Container container,
                   CreateContainer(*client, options.flags, arguments));
  absl::Cleanup remove = [&] {
    const absl::Status status = DeleteContainer(*client, container, SnapshotFate::kRemove);
    if (!status.ok()) session.Report(Annotate(status, "failed to clean up container"));
  };
  if (!options.rm) std::move(remove).Cancel();
  ASSIGN_OR_RETURN(const Json spec, SpecOf(container));
  RETURN_IF_ERROR(DumpConfig(options, spec));
  return RunTask(*client, signals, container, spec, options.task);
}

}  // namespace

void AddRun(CommandGroup root, const Environment& environment) {
  auto options = std::make_shared<Options>();
  options->flags.cpu_shares = 1024;
  CLI::App& run =
      root.Add({.names = {"run"},
                .help = "Run a container",
                .arguments = "Image|RootFS ID [COMMAND] [ARG...]",
                .program_from = 2},
               options->arguments, [options](Session& session) { return Run(session, *options); });
  run.add_flag("--rm", options->rm, "Remove the container after running");
  run.add_option_function<std::string>(
      "--dump-config",
      [flags = options.get()](const std::string& path) { flags->dump_config = path; },
      "Write the generated runtime spec to a file");
  AddTaskFlags(run, options->task);
  AddContainerFlags(run, options->flags, environment.snapshotter);
}

}  // namespace gantry::gctr
