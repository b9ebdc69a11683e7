// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/process/task_run.h"

#include <memory>
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/container/runtime.h"
#include "cmd/gctr/process/attached_process.h"
#include "core/base/kernel_status.h"
#include "core/base/status.h"
#include "core/kernel/file.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;
namespace tasks = containerd::services::tasks::v1;

// Mounts of the container's snapshot, with the SELinux label that its files are to have.
absl::Status AddRootfs(const Client& client, const containers::Container& container,
                       const Json& spec, tasks::CreateTaskRequest& request) {
  if (container.snapshot_key().empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(*request.mutable_rootfs(),
                   Snapshotter(client, container.snapshotter()).Mounts(container.snapshot_key()));
  const Json* linux_section = Member(spec, "linux");
  const std::string label =
      linux_section == nullptr ? "" : StringMember(*linux_section, "mountLabel");
  if (label.empty()) return absl::OkStatus();
  for (containerd::types::Mount& mount : *request.mutable_rootfs()) {
    mount.add_options("context=\"" + label + "\"");
  }
  return absl::OkStatus();
}

absl::StatusOr<uint32_t> CreateTask(const Client& client, const containers::Container& container,
                                    const Json& spec, const ProcessIo& io, bool no_pivot) {
  tasks::CreateTaskRequest request;
  request.set_container_id(container.id());
  request.set_stdin(io.in());
  request.set_stdout(io.out());
  request.set_stderr(io.err());
  request.set_terminal(io.terminal());
  RETURN_IF_ERROR(AddRootfs(client, container, spec, request));
  RETURN_IF_ERROR(SetTaskOptions(container, spec, no_pivot, request));
  ASSIGN_OR_RETURN(const tasks::CreateTaskResponse response,
                   Service<tasks::Tasks>(client).Call(&tasks::Tasks::Stub::Create, request));
  return response.pid();
}

}  // namespace

void AddTaskFlags(CLI::App& app, TaskFlags& flags) {
  app.add_flag("--null-io", flags.null_io, "Send all IO to /dev/null");
  app.add_option("--log-uri", flags.log_uri, "Where the shim writes output, as file:///a/log");
  app.add_option("--fifo-dir", flags.fifo_dir, "Folder for the pipes of standard streams");
  app.add_option("--pid-file", flags.pid_file, "File to write the task's pid to");
  app.add_flag("-d,--detach", flags.detach, "Detach from the task after it has started");
  app.add_flag("-i,--interactive", flags.interactive, "Standard input is always passed on");
}

absl::Status WritePidFile(const std::string& path, uint32_t pid) {
  if (path.empty()) return absl::OkStatus();
  return ToStatus(
      kernel::WriteFileAtomic(path, std::to_string(pid), 0644, kernel::Durability::kNone));
}

absl::StatusOr<int> RunTask(const Client& client, SignalSource& signals,
                            const containers::Container& container, const Json& spec,
                            const TaskFlags& flags) {
  const Json* process_section = Member(spec, "process");
  const bool terminal = process_section != nullptr && BoolMember(*process_section, "terminal");
  ASSIGN_OR_RETURN(ProcessIo io, ProcessIo::Make(flags.Io(terminal), container.id()));
  TaskProcess task(client, container.id());
  ASSIGN_OR_RETURN(const uint32_t pid, CreateTask(client, container, spec, io, flags.no_pivot));
  absl::Cleanup remove = [&] { task.KillAndDelete().IgnoreError(); };  // the first error counts
  std::unique_ptr<AttachedProcess> attached;
  if (!flags.detach) {
    RETURN_IF_ERROR(io.StartOutput());
    ASSIGN_OR_RETURN(attached, AttachedProcess::Begin(task, signals, terminal));
  }
  RETURN_IF_ERROR(WritePidFile(flags.pid_file, pid));
  RETURN_IF_ERROR(task.Start().status());
  if (flags.detach) {
    io.Keep();
    std::move(remove).Cancel();
    return 0;
  }
  ASSIGN_OR_RETURN(const uint32_t exit_status, attached->Run(io));
  std::move(remove).Cancel();
  RETURN_IF_ERROR(task.Delete().status());
  return static_cast<int>(exit_status);
}

}  // namespace gantry::gctr
