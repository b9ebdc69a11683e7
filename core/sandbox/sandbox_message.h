// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "core/sandbox/sandbox_store.h"
#include "proto/types/sandbox.pb.h"

namespace gantry::sandbox {

// A record as it travels. Times are the store's to set: FromProto() drops them.
Sandbox FromProto(const ::containerd::types::Sandbox& sandbox);
void ToProto(const Sandbox& sandbox, ::containerd::types::Sandbox* out);

}  // namespace gantry::sandbox
