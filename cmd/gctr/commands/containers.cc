// SPDX-License-Identifier: Apache-2.0
// gctr containers.
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/create.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/output/units.h"
#include "cmd/gctr/process/fifo_set.h"
#include "cmd/gctr/process/task_process.h"
#include "core/base/status.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;
namespace types = containerd::v1::types;
using Stub = containers::Containers::Stub;
using Containers = Service<containers::Containers>;

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  ContainerFlags flags;
  bool keep_snapshot = false;
  bool spec_only = false;
};

absl::StatusOr<int> Create(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const ContainerArguments arguments,
                   ParseContainerArguments(options.flags, options.arguments));
  ASSIGN_OR_RETURN(Client * client, session.Connect());
  RETURN_IF_ERROR(CreateContainer(*client, options.flags, arguments).status());
  return 0;
}

Json AnyMember(const google::protobuf::Any& any) {
  return {{"type_url", any.type_url()}, {"value", Base64(any.value())}};
}

Json ToJson(const containers::Container& container) {
  Json extensions = Json::object();
  for (const auto& [name, value] : container.extensions()) extensions[name] = AnyMember(value);
  Json runtime = {{"Name", container.runtime().name()}, {"Options", nullptr}};
  if (container.runtime().has_options()) {
    runtime["Options"] = AnyMember(container.runtime().options());
  }
  return {{"ID", container.id()},
          {"Labels", Labels(container.labels().begin(), container.labels().end())},
          {"Image", container.image()},
          {"Runtime", runtime},
          {"SnapshotKey", container.snapshot_key()},
          {"Snapshotter", container.snapshotter()},
          {"CreatedAt", FormatTime(container.created_at())},
          {"UpdatedAt", FormatTime(container.updated_at())},
          {"Extensions", extensions},
          {"SandboxID", container.sandbox()}};
}

absl::StatusOr<int> Info(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("container id must be provided");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const containers::Container container,
                   GetContainer(*client, options.arguments[0]));
  Json info = ToJson(container);
  if (!container.spec().value().empty()) {
    ASSIGN_OR_RETURN(info["Spec"], SpecOf(container));
  }
  PrintJson(options.spec_only ? info["Spec"] : info);
  return 0;
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  containers::ListContainersRequest request;
  request.mutable_filters()->Add(options.arguments.begin(), options.arguments.end());
  Json json = Json::array();
  Table table({"CONTAINER", "IMAGE", "RUNTIME"}, 4);
  RETURN_IF_ERROR(Containers(*client).ForEach(
      &Stub::ListStream, request, [&](const containers::ListContainerMessage& message) {
        const containers::Container& container = message.container();
        if (options.list.quiet) PrintLine(container.id());
        if (options.list.json()) json.push_back(ToJson(container));
        table.Add({container.id(), container.image().empty() ? "-" : container.image(),
                   container.runtime().name()});
        return absl::OkStatus();
      }));
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

// A task that has ended, or never began, goes along with its container.
absl::Status RemoveTask(const Client& client, const std::string& id) {
  TaskProcess task(client, id);
  const absl::StatusOr<types::Process> process = task.Get();
  if (absl::IsNotFound(process.status())) return absl::OkStatus();
  if (!process.ok()) return process.status();
  if (process->status() != types::STOPPED && process->status() != types::CREATED) {
    return FailedPrecondition("cannot delete a non stopped container: {} is {}", id,
                              types::Status_Name(process->status()));
  }
  RETURN_IF_ERROR(task.Delete().status());
  RemoveFifos(process->stdin(), process->stdout(), process->stderr());
  return absl::OkStatus();
}

absl::Status RemoveOne(const Client& client, const std::string& id, bool keep_snapshot) {
  ASSIGN_OR_RETURN(const containers::Container container, GetContainer(client, id));
  RETURN_IF_ERROR(RemoveTask(client, id));
  return DeleteContainer(client, container,
                         keep_snapshot ? SnapshotFate::kKeep : SnapshotFate::kRemove);
}

absl::StatusOr<int> Remove(Session& session, const Options& options) {
  if (options.arguments.empty()) {
    return InvalidArgument("must specify at least one container to delete");
  }
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  int exit_status = 0;
  for (const std::string& id : options.arguments) {
    const absl::Status status = RemoveOne(*client, id, options.keep_snapshot);
    if (status.ok()) continue;
    session.Report(Annotate(status, "failed to delete container " + id));
    exit_status = 1;
  }
  return exit_status;
}

absl::StatusOr<int> SetLabels(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("container id must be provided");
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  containers::UpdateContainerRequest request;
  request.mutable_container()->set_id(options.arguments[0]);
  for (const auto& [key, value] :
       ParseLabels({options.arguments.begin() + 1, options.arguments.end()})) {
    (*request.mutable_container()->mutable_labels())[key] = value;
    request.mutable_update_mask()->add_paths("labels." + key);
  }
  if (request.update_mask().paths().empty()) {
    ASSIGN_OR_RETURN(const containers::Container container,
                     GetContainer(*client, options.arguments[0]));
    PrintLine(JoinPairs(container.labels()));
    return 0;
  }
  ASSIGN_OR_RETURN(const containers::UpdateContainerResponse response,
                   Containers(*client).Call(&Stub::Update, request));
  PrintLine(JoinPairs(response.container().labels()));
  return 0;
}

}  // namespace

void AddContainers(CommandGroup root, const Environment& environment) {
  auto options = std::make_shared<Options>();
  CommandGroup group =
      root.AddGroup({.names = {"containers", "c", "container"}, .help = "Manage containers"});
  CLI::App& create = group.Add({.names = {"create"},
                                .help = "Create a container",
                                .arguments = "Image|RootFS CONTAINER [COMMAND] [ARG...]",
                                .program_from = 2},
                               options->arguments,
                               [options](Session& session) { return Create(session, *options); });
  AddContainerFlags(create, options->flags, environment.snapshotter);
  CLI::App& remove = group.Add({.names = {"delete", "del", "remove", "rm"},
                                .help = "Delete one or more existing containers",
                                .arguments = "CONTAINER [CONTAINER...]"},
                               options->arguments,
                               [options](Session& session) { return Remove(session, *options); });
  remove.add_flag("--keep-snapshot", options->keep_snapshot,
                  "Do not clean up snapshot with container");
  CLI::App& info = group.Add(
      {.names = {"info"}, .help = "Get info about a container", .arguments = "CONTAINER"},
      options->arguments, [options](Session& session) { return Info(session, *options); });
  info.add_flag("--spec", options->spec_only, "Only display the spec");
  CLI::App& list = group.Add(
      {.names = {"list", "ls"}, .help = "List containers", .arguments = "[<filter>...]"},
      options->arguments, [options](Session& session) { return List(session, *options); });
  options->list.AddTo(list, "Print only the container id");
  group.Add({.names = {"label"},
             .help = "Set and clear labels for a container",
             .arguments = "CONTAINER [<key>=<value>...]"},
            options->arguments,
            [options](Session& session) { return SetLabels(session, *options); });
  group.AddUnserved({.names = {"checkpoint"}, .help = "Checkpoint a container"});
  group.AddUnserved({.names = {"restore"}, .help = "Restore a container from checkpoint"});
}

}  // namespace gantry::gctr
