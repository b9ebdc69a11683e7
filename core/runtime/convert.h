// SPDX-License-Identifier: Apache-2.0
// Between the messages that shims speak and core's types.
#pragma once

#include <google/protobuf/timestamp.pb.h>

#include <string>

#include "absl/time/time.h"
#include "core/runtime/exit.h"
#include "core/runtime/task_types.h"
#include "proto/runtime/task/v3/shim.pb.h"

namespace gantry::runtime {

// Go's zero time, which shims and clients use for "never", is InfinitePast here, and so is an
// absent field.
absl::Time TimeFromProto(const google::protobuf::Timestamp& time);
google::protobuf::Timestamp TimeToProto(absl::Time time);

Exit FromProto(const ::containerd::task::v3::DeleteResponse& response);
Exit FromProto(const ::containerd::task::v3::WaitResponse& response);
// The state of the process that was asked for: `id` is the container's for the init process.
ProcessState FromProto(const std::string& container,
                       const ::containerd::task::v3::StateResponse& state);

}  // namespace gantry::runtime
