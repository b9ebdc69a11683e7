// SPDX-License-Identifier: Apache-2.0
// gctr tasks start, exec and attach: processes with gctr's streams, terminal and signals.
#include <memory>
#include <string>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/commands/commands.h"
#include "cmd/gctr/container/create.h"
#include "cmd/gctr/container/rootfs.h"
#include "cmd/gctr/process/attached_process.h"
#include "cmd/gctr/process/task_run.h"
#include "core/base/status.h"
#include "core/oci/default_spec.h"
#include "core/oci/process.h"
#include "core/oci/user.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;
namespace tasks = containerd::services::tasks::v1;
namespace types = containerd::v1::types;

struct Options {
  std::vector<std::string> arguments;
  TaskFlags task;
  bool tty = false;
  std::string exec_id;
  std::string cwd;
  std::string user;
  std::vector<std::string> env;
};

absl::StatusOr<int> Start(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("container id must be provided");
  ASSIGN_OR_RETURN(SignalSource signals, SignalSource::Make());
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  ASSIGN_OR_RETURN(const containers::Container container,
                   GetContainer(*client, options.arguments[0]));
  ASSIGN_OR_RETURN(const Json spec, SpecOf(container));
  return RunTask(*client, signals, container, spec, options.task);
}

// The root file system of a container, to look up users in.
absl::StatusOr<Rootfs> OpenRoot(const Client& client, const containers::Container& container,
                                const Json& spec) {
  if (!container.snapshot_key().empty()) {
    ASSIGN_OR_RETURN(const ProtoMounts mounts,
                     Snapshotter(client, container.snapshotter()).Mounts(container.snapshot_key()));
    return Rootfs::Mount(mounts, Rootfs::Access::kReadOnly);
  }
  const Json* root = Member(spec, "root");
  const std::string path = root == nullptr ? "" : StringMember(*root, "path");
  if (!path.starts_with('/')) return FailedPrecondition("rootfs absolute path is required");
  return Rootfs::Open(path);
}

absl::Status SetExecUser(const Client& client, const containers::Container& container,
                         const std::string& user, Json& spec) {
  if (user.empty()) return absl::OkStatus();
  if (!oci::NeedsUserDatabase(user)) return oci::SetUserOnly(spec, user, oci::UserDatabase(-1));
  ASSIGN_OR_RETURN(const Rootfs root, OpenRoot(client, container, spec));
  return oci::SetUserOnly(spec, user, oci::UserDatabase(root.fd()));
}

// The container's own process in all but what the flags say.
absl::StatusOr<Json> ExecProcess(const Client& client, const Options& options) {
  ASSIGN_OR_RETURN(const containers::Container container,
                   GetContainer(client, options.arguments[0]));
  ASSIGN_OR_RETURN(Json spec, SpecOf(container));
  RETURN_IF_ERROR(SetExecUser(client, container, options.user, spec));
  oci::SetArgs(spec, {options.arguments.begin() + 1, options.arguments.end()});
  if (!options.cwd.empty()) oci::SetCwd(spec, options.cwd);
  oci::AddEnvironment(spec, options.env);
  Json process = spec["process"];
  process["terminal"] = options.tty;
  return process;
}

absl::Status AddProcess(const Client& client, const Options& options, const ProcessIo& io,
                        const Json& process) {
  tasks::ExecProcessRequest request;
  request.set_container_id(options.arguments[0]);
  request.set_exec_id(options.exec_id);
  request.set_stdin(io.in());
  request.set_stdout(io.out());
  request.set_stderr(io.err());
  request.set_terminal(io.terminal());
  request.mutable_spec()->set_type_url(std::string(oci::kProcessTypeUrl));
  request.mutable_spec()->set_value(DumpJson(process));
  return Service<tasks::Tasks>(client).Call(&tasks::Tasks::Stub::Exec, request).status();
}

absl::StatusOr<int> RunExec(const Client& client, SignalSource& signals, const Options& options) {
  const std::string& id = options.arguments[0];
  ASSIGN_OR_RETURN(const Json spec, ExecProcess(client, options));
  RETURN_IF_ERROR(TaskProcess(client, id).Get().status());
  ASSIGN_OR_RETURN(ProcessIo io, ProcessIo::Make(options.task.Io(options.tty), options.exec_id));
  TaskProcess process(client, id, options.exec_id);
  RETURN_IF_ERROR(AddProcess(client, options, io, spec));
  absl::Cleanup remove = [&] { process.KillAndDelete().IgnoreError(); };  // the first error counts
  std::unique_ptr<AttachedProcess> attached;
  if (!options.task.detach) {
    RETURN_IF_ERROR(io.StartOutput());
    ASSIGN_OR_RETURN(attached, AttachedProcess::Begin(process, signals, options.tty));
  }
  ASSIGN_OR_RETURN(const uint32_t pid, process.Start());
  RETURN_IF_ERROR(WritePidFile(options.task.pid_file, pid));
  if (options.task.detach) {
    io.Keep();
    std::move(remove).Cancel();
    return 0;
  }
  ASSIGN_OR_RETURN(const uint32_t exit_status, attached->Run(io));
  std::move(remove).Cancel();
  RETURN_IF_ERROR(process.Delete().status());
  return static_cast<int>(exit_status);
}

absl::StatusOr<int> Exec(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("container id must be provided");
  if (options.exec_id.empty()) return InvalidArgument("Required flag \"exec-id\" not set");
  RETURN_IF_ERROR(CheckIoSettings(options.task.Io(options.tty)));
  ASSIGN_OR_RETURN(SignalSource signals, SignalSource::Make());
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  return RunExec(*client, signals, options);
}

absl::StatusOr<int> Attach(Session& session, const Options& options) {
  if (options.arguments.empty()) return InvalidArgument("container id must be provided");
  ASSIGN_OR_RETURN(SignalSource signals, SignalSource::Make());
  ASSIGN_OR_RETURN(const Client* client, session.Connect());
  TaskProcess task(*client, options.arguments[0]);
  ASSIGN_OR_RETURN(const types::Process process, task.Get());
  ASSIGN_OR_RETURN(ProcessIo io, ProcessIo::Attach(process));
  RETURN_IF_ERROR(io.StartOutput());
  ASSIGN_OR_RETURN(const std::unique_ptr<AttachedProcess> attached,
                   AttachedProcess::Begin(task, signals, process.terminal()));
  ASSIGN_OR_RETURN(const uint32_t exit_status, attached->Run(io));
  RETURN_IF_ERROR(task.Delete().status());
  RemoveFifos(process.stdin(), process.stdout(), process.stderr());
  return static_cast<int>(exit_status);
}

CLI::App& AddExec(CommandGroup& group, const std::shared_ptr<Options>& options) {
  CLI::App& exec = group.Add({.names = {"exec"},
                              .help = "Execute additional processes in an existing container",
                              .arguments = "CONTAINER CMD [ARG...]",
                              .program_from = 1},
                             options->arguments,
                             [options](Session& session) { return Exec(session, *options); });
  exec.add_option("--exec-id", options->exec_id, "Id of the process (required)");
  exec.add_option("--cwd", options->cwd, "Working directory of the new process");
  exec.add_flag("-t,--tty", options->tty, "Allocate a terminal");
  exec.add_option("-u,--user", options->user, "User id or name");
  AddList(exec, "--env", options->env, "Environment variable, as FOO=bar");
  AddTaskFlags(exec, options->task);
  return exec;
}

}  // namespace

void AddTaskProcesses(CommandGroup& tasks) {
  auto options = std::make_shared<Options>();
  CLI::App& start = tasks.Add({.names = {"start"},
                               .help = "Start a container that has been created",
                               .arguments = "CONTAINER"},
                              options->arguments,
                              [options](Session& session) { return Start(session, *options); });
  AddTaskFlags(start, options->task);
  start.add_flag("--no-pivot", options->task.no_pivot, "Disable use of pivot-root");
  AddExec(tasks, options);
  tasks.Add({.names = {"attach"},
             .help = "Attach to the IO of a running container",
             .arguments = "CONTAINER"},
            options->arguments, [options](Session& session) { return Attach(session, *options); });
}

void AddExec(CommandGroup root) { AddExec(root, std::make_shared<Options>()); }

}  // namespace gantry::gctr
