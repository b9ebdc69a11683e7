// SPDX-License-Identifier: Apache-2.0
// gctr tasks: what is asked of, and done to, tasks that are there.
#include <charconv>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "cmd/gctr/cli/list_format.h"
#include "cmd/gctr/cli/signal_name.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/create.h"
#include "cmd/gctr/output/metrics_table.h"
#include "cmd/gctr/output/units.h"
#include "cmd/gctr/process/fifo_set.h"
#include "cmd/gctr/process/task_process.h"
#include "cmd/gctr/task_checkpoint.h"
#include "core/base/status.h"
#include "proto/types/runc/options/oci.pb.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;
namespace tasks = containerd::services::tasks::v1;
namespace types = containerd::v1::types;
using Stub = tasks::Tasks::Stub;
using Tasks = Service<tasks::Tasks>;

constexpr const char* kStopSignalLabel = "io.containerd.image.config.stop-signal";

struct Options {
  std::vector<std::string> arguments;
  ListFormat list;
  bool force = false;
  std::string exec_id;
  std::string signal;
  bool all = false;
  CheckpointSettings checkpoint;
};

absl::StatusOr<std::string> IdArgument(const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("container id must be provided");
  return options.arguments[0];
}

absl::StatusOr<int> List(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const tasks::ListTasksResponse response,
                   Tasks(*client).Call(&Stub::List, tasks::ListTasksRequest()));
  Json json = Json::array();
  Table table({"TASK", "PID", "STATUS"}, 4);
  for (const types::Process& task : response.tasks()) {
    if (options.list.quiet) PrintLine(task.id());
    Json row = MessageJson(task);
    row["status"] = types::Status_Name(task.status());
    json.push_back(std::move(row));
    table.Add({task.id(), std::to_string(task.pid()), types::Status_Name(task.status())});
  }
  if (options.list.quiet) return 0;
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

absl::StatusOr<int> Ps(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, IdArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  containerd::runc::v1::ProcessDetails::descriptor();  // which processes carry
  tasks::ListPidsRequest request;
  request.set_container_id(id);
  ASSIGN_OR_RETURN(const tasks::ListPidsResponse response,
                   Tasks(*client).Call(&Stub::ListPids, request));
  Json json = Json::array();
  Table table({"PID", "INFO"}, 4);
  for (const types::ProcessInfo& process : response.processes()) {
    const Json info = AnyJson(process.info().type_url(), process.info().value());
    json.push_back({{"pid", process.pid()}, {"info", info}});
    table.Add({std::to_string(process.pid()), process.has_info() ? DumpJson(info) : "-"});
  }
  if (options.list.json()) {
    PrintJson(json);
  } else {
    table.Print();
  }
  return 0;
}

// The one asked for, else the one that the container's image wants to be stopped with.
absl::StatusOr<int> SignalToSend(const Client& client, const Options& options,
                                 const std::string& id) {
  if (!options.signal.empty()) return ParseSignal(options.signal);
  ASSIGN_OR_RETURN(const containers::Container container, GetContainer(client, id));
  const auto label = container.labels().find(kStopSignalLabel);
  if (label == container.labels().end() || label->second.empty()) return SIGTERM;
  return ParseSignal(label->second);
}

absl::StatusOr<int> Kill(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, IdArgument(options));
  if (options.all && !options.exec_id.empty()) {
    return InvalidArgument("specify an exec-id or all; not both");
  }
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const int signal, SignalToSend(*client, options, id));
  RETURN_IF_ERROR(TaskProcess(*client, id, options.exec_id).Kill(signal, options.all));
  return 0;
}

// Deletes a process that has ended; with `force` one that runs is killed before.
absl::StatusOr<uint32_t> DeleteProcess(TaskProcess& process, bool force) {
  if (force) {
    absl::Status killed = process.Kill(SIGKILL, process.exec_id().empty());
    if (killed.ok()) RETURN_IF_ERROR(process.Wait().status());
    if (!killed.ok() && !absl::IsNotFound(killed) && !absl::IsFailedPrecondition(killed)) {
      return killed;
    }
  }
  ASSIGN_OR_RETURN(const types::Process state, process.Get());
  const bool ended = state.status() == types::STOPPED || state.status() == types::UNKNOWN ||
                     (state.status() == types::CREATED && state.pid() == 0);
  if (!ended) {
    return FailedPrecondition("process must be stopped before deletion: {}",
                              types::Status_Name(state.status()));
  }
  ASSIGN_OR_RETURN(const uint32_t exit_status, process.Delete());
  RemoveFifos(state.stdin(), state.stdout(), state.stderr());
  return exit_status;
}

absl::StatusOr<int> Delete(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string first, IdArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  if (!options.exec_id.empty()) {
    TaskProcess process(*client, first, options.exec_id);
    ASSIGN_OR_RETURN(const uint32_t exit_status, DeleteProcess(process, options.force));
    return static_cast<int>(exit_status);
  }
  int result = 0;
  for (const std::string& id : options.arguments) {
    TaskProcess task(*client, id);
    const absl::StatusOr<uint32_t> exit_status = DeleteProcess(task, options.force);
    if (!exit_status.ok()) {
      session.Report(Annotate(exit_status.status(), "unable to delete " + id));
      result = 1;
    } else if (*exit_status != 0) {
      session.Warn("task " + id + " exit with non-zero exit code " + std::to_string(*exit_status));
    }
  }
  return result;
}

absl::StatusOr<int> Pause(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, IdArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  tasks::PauseTaskRequest request;
  request.set_container_id(id);
  RETURN_IF_ERROR(Tasks(*client).Call(&Stub::Pause, request).status());
  return 0;
}

absl::StatusOr<int> Resume(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, IdArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  tasks::ResumeTaskRequest request;
  request.set_container_id(id);
  RETURN_IF_ERROR(Tasks(*client).Call(&Stub::Resume, request).status());
  return 0;
}

absl::StatusOr<int> Metrics(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, IdArgument(options));
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  RETURN_IF_ERROR(TaskProcess(*client, id).Get().status());
  tasks::MetricsRequest request;
  request.add_filters("id==" + id);
  ASSIGN_OR_RETURN(const tasks::MetricsResponse response,
                   Tasks(*client).Call(&Stub::Metrics, request));
  if (response.metrics().empty()) return NotFound("task {}: no metrics received", id);
  const containerd::types::Metric& metric = response.metrics(0);
  ASSIGN_OR_RETURN(const MetricsView view,
                   MetricsView::Make(metric.data().type_url(), metric.data().value()));
  if (options.list.json()) {
    PrintLine(DumpJson(view.json, 2));
    return 0;
  }
  Table head({"ID", "TIMESTAMP"}, 4);
  head.Add({metric.id(), FormatTime(metric.timestamp())});
  head.Print();
  PrintLine("");
  view.table.Print();
  return 0;
}

absl::StatusOr<int> Checkpoint(Session& session, const Options& options) {
  ASSIGN_OR_RETURN(const std::string id, IdArgument(options));
  ASSIGN_OR_RETURN(Client * client, session.Connect());
  ASSIGN_OR_RETURN(const std::string name, CheckpointTask(*client, id, options.checkpoint));
  if (!name.empty()) PrintLine(name);
  return 0;
}

using Function = absl::StatusOr<int> (*)(Session&, const Options&);

Action Bind(const std::shared_ptr<Options>& options, Function function) {
  return [options, function](Session& session) { return function(session, *options); };
}

void AddReading(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& list = group.Add({.names = {"list", "ls"}, .help = "List tasks"}, options->arguments,
                             Bind(options, List));
  options->list.AddTo(list, "Print only the task id");
  CLI::App& ps =
      group.Add({.names = {"ps"}, .help = "List processes for container", .arguments = "CONTAINER"},
                options->arguments, Bind(options, Ps));
  options->list.AddTo(ps);
  CLI::App& metrics = group.Add({.names = {"metrics", "metric"},
                                 .help = "Get a single data point of metrics for a task",
                                 .arguments = "CONTAINER"},
                                options->arguments, Bind(options, Metrics));
  options->list.AddTo(metrics);
}

void AddChanging(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& remove = group.Add({.names = {"delete", "del", "remove", "rm"},
                                .help = "Delete one or more tasks",
                                .arguments = "CONTAINER [CONTAINER...]"},
                               options->arguments, Bind(options, Delete));
  remove.add_flag("-f,--force", options->force, "Kill the process first");
  remove.add_option("--exec-id", options->exec_id, "Process to delete");
  CLI::App& kill = group.Add({.names = {"kill"},
                              .help = "Signal a container (default: SIGTERM)",
                              .arguments = "CONTAINER"},
                             options->arguments, Bind(options, Kill));
  kill.add_option("-s,--signal", options->signal, "Signal to send");
  kill.add_option("--exec-id", options->exec_id, "Process to signal");
  kill.add_flag("-a,--all", options->all, "Send signal to all processes inside the container");
  group.Add({.names = {"pause"}, .help = "Pause an existing container", .arguments = "CONTAINER"},
            options->arguments, Bind(options, Pause));
  group.Add({.names = {"resume"}, .help = "Resume a paused container", .arguments = "CONTAINER"},
            options->arguments, Bind(options, Resume));
  CLI::App& checkpoint = group.Add(
      {.names = {"checkpoint"}, .help = "Checkpoint a container", .arguments = "CONTAINER"},
      options->arguments, Bind(options, Checkpoint));
  checkpoint.add_flag("--exit", options->checkpoint.exit, "Stop the container after it");
  checkpoint.add_option("--image-path", options->checkpoint.image_path,
                        "Folder for criu's image files, instead of an image");
  checkpoint.add_option("--work-path", options->checkpoint.work_path,
                        "Folder for criu's work files and logs");
}

}  // namespace

void AddTasks(CommandGroup root) {
  auto options = std::make_shared<Options>();
  CommandGroup group = root.AddGroup({.names = {"tasks", "t", "task"}, .help = "Manage tasks"});
  AddReading(group, options);
  AddChanging(group, options);
  AddTaskProcesses(group);
}

}  // namespace gantry::gctr
