// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/client/snapshots.h"

#include "core/base/status.h"
#include "proto/services/namespaces/v1/namespace.grpc.pb.h"

namespace gantry::gctr {
namespace {

namespace snapshots = containerd::services::snapshots::v1;
namespace namespaces = containerd::services::namespaces::v1;
using Stub = snapshots::Snapshots::Stub;

constexpr const char* kDefaultLabel = "containerd.io/defaults/snapshotter";
constexpr const char* kDefaultSnapshotter = "overlayfs";

template <typename Request>
Request Keyed(const std::string& snapshotter, const std::string& key) {
  Request request;
  request.set_snapshotter(snapshotter);
  request.set_key(key);
  return request;
}

template <typename Request>
Request Layered(const std::string& snapshotter, const std::string& key, const std::string& parent,
                const Labels& labels) {
  Request request = Keyed<Request>(snapshotter, key);
  request.set_parent(parent);
  request.mutable_labels()->insert(labels.begin(), labels.end());
  return request;
}

}  // namespace

mount::Mounts FromProto(const ProtoMounts& mounts) {
  mount::Mounts converted;
  for (const containerd::types::Mount& mount : mounts) {
    converted.push_back({.type = mount.type(),
                         .source = mount.source(),
                         .target = mount.target(),
                         .options = {mount.options().begin(), mount.options().end()}});
  }
  return converted;
}

absl::StatusOr<std::string> ResolveSnapshotter(const Client& client, const std::string& name) {
  if (!name.empty()) return name;
  namespaces::GetNamespaceRequest request;
  request.set_name(client.ns());
  const auto response =
      Service<namespaces::Namespaces>(client).Call(&namespaces::Namespaces::Stub::Get, request);
  if (absl::IsNotFound(response.status())) return kDefaultSnapshotter;
  if (!response.ok()) return response.status();
  const auto& labels = response->namespace_().labels();
  const auto found = labels.find(kDefaultLabel);
  return found == labels.end() || found->second.empty() ? kDefaultSnapshotter : found->second;
}

absl::StatusOr<ProtoMounts> Snapshotter::Prepare(const std::string& key, const std::string& parent,
                                                 const Labels& labels) {
  ASSIGN_OR_RETURN(snapshots::PrepareSnapshotResponse response,
                   service_.Call(&Stub::Prepare, Layered<snapshots::PrepareSnapshotRequest>(
                                                     name_, key, parent, labels)));
  return std::move(*response.mutable_mounts());
}

absl::StatusOr<ProtoMounts> Snapshotter::View(const std::string& key, const std::string& parent,
                                              const Labels& labels) {
  ASSIGN_OR_RETURN(snapshots::ViewSnapshotResponse response,
                   service_.Call(&Stub::View, Layered<snapshots::ViewSnapshotRequest>(
                                                  name_, key, parent, labels)));
  return std::move(*response.mutable_mounts());
}

absl::StatusOr<ProtoMounts> Snapshotter::Mounts(const std::string& key) {
  ASSIGN_OR_RETURN(snapshots::MountsResponse response,
                   service_.Call(&Stub::Mounts, Keyed<snapshots::MountsRequest>(name_, key)));
  return std::move(*response.mutable_mounts());
}

absl::Status Snapshotter::Commit(const std::string& name, const std::string& key,
                                 const Labels& labels) {
  auto request = Keyed<snapshots::CommitSnapshotRequest>(name_, key);
  request.set_name(name);
  request.mutable_labels()->insert(labels.begin(), labels.end());
  return service_.Call(&Stub::Commit, request).status();
}

absl::Status Snapshotter::Remove(const std::string& key) {
  return service_.Call(&Stub::Remove, Keyed<snapshots::RemoveSnapshotRequest>(name_, key)).status();
}

absl::Status Snapshotter::RemoveIfThere(const std::string& key) {
  absl::Status status = Remove(key);
  return absl::IsNotFound(status) ? absl::OkStatus() : status;
}

absl::StatusOr<snapshots::Info> Snapshotter::Stat(const std::string& key) {
  ASSIGN_OR_RETURN(snapshots::StatSnapshotResponse response,
                   service_.Call(&Stub::Stat, Keyed<snapshots::StatSnapshotRequest>(name_, key)));
  return std::move(*response.mutable_info());
}

absl::StatusOr<bool> Snapshotter::Exists(const std::string& key) {
  absl::Status status = Stat(key).status();
  if (absl::IsNotFound(status)) return false;
  if (!status.ok()) return status;
  return true;
}

absl::StatusOr<snapshots::UsageResponse> Snapshotter::Usage(const std::string& key) {
  return service_.Call(&Stub::Usage, Keyed<snapshots::UsageRequest>(name_, key));
}

absl::StatusOr<snapshots::Info> Snapshotter::SetLabels(const std::string& key,
                                                       const Labels& labels) {
  snapshots::UpdateSnapshotRequest request;
  request.set_snapshotter(name_);
  request.mutable_info()->set_name(key);
  for (const auto& [label, value] : labels) {
    request.mutable_update_mask()->add_paths("labels." + label);
    if (!value.empty()) (*request.mutable_info()->mutable_labels())[label] = value;
  }
  ASSIGN_OR_RETURN(snapshots::UpdateSnapshotResponse response,
                   service_.Call(&Stub::Update, request));
  return std::move(*response.mutable_info());
}

absl::StatusOr<std::vector<snapshots::Info>> Snapshotter::List() {
  snapshots::ListSnapshotsRequest request;
  request.set_snapshotter(name_);
  std::vector<snapshots::Info> infos;
  RETURN_IF_ERROR(
      service_.ForEach(&Stub::List, request, [&](const snapshots::ListSnapshotsResponse& response) {
        infos.insert(infos.end(), response.info().begin(), response.info().end());
        return absl::OkStatus();
      }));
  return infos;
}

}  // namespace gantry::gctr
