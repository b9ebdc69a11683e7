// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/repeated_field.h>

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "cmd/gctr/client/client.h"
#include "core/base/labels.h"
#include "core/mount/mount.h"
#include "proto/services/snapshots/v1/snapshots.grpc.pb.h"

namespace gantry::gctr {

using ProtoMounts = google::protobuf::RepeatedPtrField<containerd::types::Mount>;

mount::Mounts FromProto(const ProtoMounts& mounts);

// `name` unless it is empty; then the default of the namespace (label
// containerd.io/defaults/snapshotter), else overlayfs.
absl::StatusOr<std::string> ResolveSnapshotter(const Client& client, const std::string& name);

// Snapshots of one snapshotter.
class Snapshotter {
 public:
  Snapshotter(const Client& client, std::string name) : service_(client), name_(std::move(name)) {}

  const std::string& name() const { return name_; }

  absl::StatusOr<ProtoMounts> Prepare(const std::string& key, const std::string& parent,
                                      const Labels& labels = {});
  absl::StatusOr<ProtoMounts> View(const std::string& key, const std::string& parent,
                                   const Labels& labels = {});
  absl::StatusOr<ProtoMounts> Mounts(const std::string& key);
  absl::Status Commit(const std::string& name, const std::string& key, const Labels& labels = {});
  absl::Status Remove(const std::string& key);
  // Without complaint where there is none.
  absl::Status RemoveIfThere(const std::string& key);
  absl::StatusOr<containerd::services::snapshots::v1::Info> Stat(const std::string& key);
  absl::StatusOr<bool> Exists(const std::string& key);
  absl::StatusOr<containerd::services::snapshots::v1::UsageResponse> Usage(const std::string& key);
  // An empty value deletes a label.
  absl::StatusOr<containerd::services::snapshots::v1::Info> SetLabels(const std::string& key,
                                                                      const Labels& labels);
  absl::StatusOr<std::vector<containerd::services::snapshots::v1::Info>> List();

 private:
  Service<containerd::services::snapshots::v1::Snapshots> service_;
  std::string name_;
};

}  // namespace gantry::gctr
