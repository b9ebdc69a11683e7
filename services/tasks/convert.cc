// SPDX-License-Identifier: Apache-2.0
#include "services/tasks/convert.h"

#include "core/runtime/convert.h"
#include "proto/types/runc/options/oci.pb.h"

namespace gantry::tasks {

namespace pb = ::containerd::services::tasks::v1;

absl::StatusOr<runtime::CreateOptions> ToCreateOptions(const pb::CreateTaskRequest& request,
                                                       const containers::Container& container) {
  runtime::CreateOptions options{
      .spec = container.spec,
      .stdio = {.in = request.stdin(),
                .out = request.stdout(),
                .err = request.stderr(),
                .terminal = request.terminal()},
      .runtime = request.runtime_path().empty() ? container.runtime_name : request.runtime_path(),
      .runtime_options = container.runtime_options,
      .sandbox_id = container.sandbox_id,
      .task_api_address = request.task_api_address(),
      .task_api_version = request.task_api_version()};
  for (const auto& mount : request.rootfs()) {
    options.rootfs.push_back({.type = mount.type(),
                              .source = mount.source(),
                              .target = mount.target(),
                              .options = {mount.options().begin(), mount.options().end()}});
  }
  if (!request.has_options()) return options;
  options.task_options = request.options();
  // Options of other runtimes are theirs alone.
  if (!request.options().type_url().ends_with("containerd.runc.v1.Options")) return options;
  ::containerd::runc::v1::Options runc;
  if (!runc.ParseFromString(request.options().value())) {
    return InvalidArgument("options of task {} do not parse", request.container_id());
  }
  options.checkpoint = runc.criu_image_path();
  // Clients of old put these here, which is why the fields are still read.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  if (options.task_api_address.empty()) options.task_api_address = runc.task_api_address();
  if (options.task_api_version == 0) options.task_api_version = runc.task_api_version();
#pragma GCC diagnostic pop
  return options;
}

runtime::ExecOptions FromProto(const pb::ExecProcessRequest& request) {
  return {.exec_id = request.exec_id(),
          .stdio = {.in = request.stdin(),
                    .out = request.stdout(),
                    .err = request.stderr(),
                    .terminal = request.terminal()},
          .spec = request.spec()};
}

void ToProto(const runtime::ProcessState& state, ::containerd::v1::types::Process* out) {
  // Clients know a process by its own id alone; the container's they have asked with.
  out->set_id(state.id);
  out->set_pid(state.pid);
  out->set_status(static_cast<::containerd::v1::types::Status>(state.status));
  out->set_stdin(state.stdio.in);
  out->set_stdout(state.stdio.out);
  out->set_stderr(state.stdio.err);
  out->set_terminal(state.stdio.terminal);
  out->set_exit_status(state.exit_status);
  *out->mutable_exited_at() = runtime::TimeToProto(state.exited_at);
}

void ToProto(const runtime::ProcessInfo& info, ::containerd::v1::types::ProcessInfo* out) {
  out->set_pid(info.pid);
  if (info.info) *out->mutable_info() = *info.info;
}

pb::DeleteResponse ToProto(const runtime::Exit& exit) {
  pb::DeleteResponse response;
  response.set_pid(exit.pid);
  response.set_exit_status(exit.status);
  *response.mutable_exited_at() = runtime::TimeToProto(exit.exited_at);
  return response;
}

}  // namespace gantry::tasks
