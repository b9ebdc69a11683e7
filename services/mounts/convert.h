// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/mount/manager/activation.h"
#include "proto/services/mounts/v1/mounts.pb.h"
#include "proto/types/mount.pb.h"

namespace gantry::mount {

Mounts FromProto(const google::protobuf::RepeatedPtrField<::containerd::types::Mount>& mounts);
ActivateOptions OptionsOf(const ::containerd::services::mounts::v1::ActivateRequest& request);
void ToProto(const ActivationInfo& info, ::containerd::types::ActivationInfo* out);

}  // namespace gantry::mount
