// SPDX-License-Identifier: Apache-2.0
// Whether a container asks for what an OCI runtime would silently leave out.
#pragma once

#include <string_view>

#include "core/base/status.h"

namespace containerd::types {
class RuntimeInfo;
}

namespace gantry::runtime {

// Whether a mount of the OCI spec shifts its owners.
bool UsesIdmappedMounts(std::string_view spec);

// OK if the runtime says that it shifts owners of mounts, or says nothing about its features at
// all: then it is none of those that ignore what they do not know. FailedPrecondition otherwise.
absl::Status CheckIdmapSupport(const ::containerd::types::RuntimeInfo& info);

}  // namespace gantry::runtime
