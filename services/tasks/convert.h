// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/base/status.h"
#include "core/containers/container_store.h"
#include "core/runtime/task_types.h"
#include "proto/services/tasks/v1/tasks.pb.h"

namespace gantry::tasks {

// The request to run a container, as the runtime takes it: what the client says, and what stands in
// the container's record. Where to restore a checkpoint from is not decided here.
//
// InvalidArgument for runc options that do not parse.
absl::StatusOr<runtime::CreateOptions> ToCreateOptions(
    const ::containerd::services::tasks::v1::CreateTaskRequest& request,
    const containers::Container& container);

runtime::ExecOptions FromProto(
    const ::containerd::services::tasks::v1::ExecProcessRequest& request);

void ToProto(const runtime::ProcessState& state, ::containerd::v1::types::Process* out);
void ToProto(const runtime::ProcessInfo& info, ::containerd::v1::types::ProcessInfo* out);
::containerd::services::tasks::v1::DeleteResponse ToProto(const runtime::Exit& exit);

}  // namespace gantry::tasks
