// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/client/snapshots.h"

namespace gantry::gctr {

// Has the daemon's mount manager do what only it can, and gives the mounts that are left to do.
// Those are all of them where nothing is special, or there is no mount manager.
absl::StatusOr<ProtoMounts> ActivateMounts(const Client& client, const std::string& name,
                                           const ProtoMounts& mounts, bool temporary = true);

// Without complaint where nothing is active.
absl::Status DeactivateMounts(const Client& client, const std::string& name);

}  // namespace gantry::gctr
