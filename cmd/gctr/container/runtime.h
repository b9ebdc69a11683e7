// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/container/flags.h"
#include "core/json/json.h"
#include "proto/services/containers/v1/containers.pb.h"
#include "proto/services/tasks/v1/tasks.pb.h"

namespace gantry::gctr {

// The runtime's name, and the options that the flags give it.
absl::Status SetRuntime(const ContainerFlags& flags,
                        containerd::services::containers::v1::Container::Runtime& runtime);

// Options of a task: those of the container's runtime, with what the task adds to them. None where
// it adds nothing: then the container's count.
absl::Status SetTaskOptions(const containerd::services::containers::v1::Container& container,
                            const Json& spec, bool no_pivot,
                            containerd::services::tasks::v1::CreateTaskRequest& request);

}  // namespace gantry::gctr
