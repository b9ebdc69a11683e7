// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "absl/status/statusor.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/container/flags.h"
#include "core/base/labels.h"

namespace gantry::gctr {

// What a snapshot for a container in a user namespace is made from.
struct RemappedParent {
  std::string parent;
  Labels labels;
};

// Has the snapshotter shift the owners of files, by labels; or else makes a copy of `parent` with
// changed owners, once for all containers with the same mappings.
absl::StatusOr<RemappedParent> RemapParent(Snapshotter& snapshotter, const std::string& parent,
                                           const ContainerFlags& flags);

}  // namespace gantry::gctr
