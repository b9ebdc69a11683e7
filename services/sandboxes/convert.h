// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/sandbox/controller.h"
#include "core/sandbox/sandbox_message.h"
#include "proto/services/sandbox/v1/sandbox.pb.h"

namespace gantry::sandbox {

CreateOptions FromProto(
    const ::containerd::services::sandbox::v1::ControllerCreateRequest& request);
::containerd::services::sandbox::v1::ControllerStartResponse ToProto(const std::string& id,
                                                                     const Started& started);
::containerd::services::sandbox::v1::ControllerStatusResponse ToProto(const std::string& id,
                                                                      const SandboxStatus& status);

// Go's zero time for a time that never was.
google::protobuf::Timestamp TimeToProto(absl::Time time);

}  // namespace gantry::sandbox
