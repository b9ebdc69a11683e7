// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/repeated_ptr_field.h>

#include "core/filters/filter.h"
#include "core/mount/mount.h"
#include "core/snapshots/snapshotter.h"
#include "proto/services/snapshots/v1/snapshots.pb.h"
#include "proto/types/mount.pb.h"

namespace gantry::snapshots {

void ToProto(const Info& info, ::containerd::services::snapshots::v1::Info* out);
void ToProto(const mount::Mounts& mounts,
             google::protobuf::RepeatedPtrField<::containerd::types::Mount>* out);
bool Matches(const filters::Filter& filter, const Info& info);

}  // namespace gantry::snapshots
