// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "cmd/gctr/container/flags.h"
#include "core/json/json.h"
#include "proto/services/containers/v1/containers.grpc.pb.h"

namespace gantry::gctr {

// "image|folder id [command…]", or with --config "id".
struct ContainerArguments {
  std::string source;
  std::string id;
  std::vector<std::string> command;
};

absl::StatusOr<ContainerArguments> ParseContainerArguments(const ContainerFlags& flags,
                                                           const std::vector<std::string>& words);

// Makes the container's snapshot, unpacking the image first if need be, and its record. On failure
// nothing of the container is left.
absl::StatusOr<containerd::services::containers::v1::Container> CreateContainer(
    Client& client, const ContainerFlags& flags, const ContainerArguments& arguments);

absl::StatusOr<containerd::services::containers::v1::Container> GetContainer(const Client& client,
                                                                             const std::string& id);

// The runtime specification in a record.
absl::StatusOr<Json> SpecOf(const containerd::services::containers::v1::Container& container);

enum class SnapshotFate { kRemove, kKeep };

// Deletes the record and, unless it is to be kept, the snapshot before it.
absl::Status DeleteContainer(const Client& client,
                             const containerd::services::containers::v1::Container& container,
                             SnapshotFate fate);

}  // namespace gantry::gctr
