// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/repeated_field.h>

#include "core/mount/mount.h"
#include "core/snapshots/snapshotter.h"
#include "proto/services/snapshots/v1/snapshots.pb.h"

namespace gantry::proxy {

// A kind that this program does not know counts as committed, as containerd's clients have it.
snapshots::Info FromProto(const ::containerd::services::snapshots::v1::Info& info);
mount::Mounts FromProto(
    const google::protobuf::RepeatedPtrField<::containerd::types::Mount>& mounts);

}  // namespace gantry::proxy
