// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/container/create.h"

#include <filesystem>
#include <optional>
#include <system_error>
#include <utility>

#include "cmd/gctr/client/image.h"
#include "cmd/gctr/client/lease.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/container/remap.h"
#include "cmd/gctr/container/rootfs.h"
#include "cmd/gctr/container/runtime.h"
#include "cmd/gctr/container/spec.h"
#include "cmd/gctr/unpack.h"
#include "core/base/status.h"
#include "core/oci/default_spec.h"
#include "core/oci/spec.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;
using Stub = containers::Containers::Stub;

constexpr const char* kStopSignalLabel = "io.containerd.image.config.stop-signal";

// What an image gives to a container.
struct SourceImage {
  imagespec::ImageConfig config;
  Labels labels;  // for the container's record
  std::string top_snapshot;
};

absl::StatusOr<PlatformMatcher> PlatformOfFlags(const ContainerFlags& flags) {
  if (flags.platform.empty()) return PlatformMatcher::Only(HostPlatform());
  ASSIGN_OR_RETURN(const Platform platform, ParsePlatform(flags.platform));
  return PlatformMatcher::Only(platform);
}

// Labels of the image's config but for those that an image must not set, then the record's, then
// the command line's.
Labels ContainerLabels(const imagespec::ImageConfig& config, const Labels& record,
                       const Labels& given) {
  Labels labels;
  for (const auto& [key, value] : config.labels) {
    if (!imagespec::IsReservedLabel(key)) labels[key] = value;
  }
  for (const auto& [key, value] : record) {
    if (key.size() + value.size() <= kMaxLabelBytes) labels[key] = value;
  }
  for (const auto& [key, value] : given) labels[key] = value;
  labels[kStopSignalLabel] = config.stop_signal.empty() ? "SIGTERM" : config.stop_signal;
  return labels;
}

absl::StatusOr<SourceImage> LoadImage(const Client& client, const ContainerFlags& flags,
                                      const std::string& name, const std::string& snapshotter) {
  ASSIGN_OR_RETURN(const auto record, GetImage(client, name));
  ASSIGN_OR_RETURN(const PlatformMatcher platform, PlatformOfFlags(flags));
  ASSIGN_OR_RETURN(const ImageManifest image,
                   FindManifest(client, FromProto(record.target()), platform));
  ASSIGN_OR_RETURN(const bool unpacked, IsUnpacked(client, image, snapshotter));
  if (!unpacked) {
    RETURN_IF_ERROR(Unpack(client, image, {.snapshotter = snapshotter, .sync_fs = flags.sync_fs}));
  }
  SourceImage source;
  ASSIGN_OR_RETURN(source.config, LoadConfig(client, image.document.config));
  ASSIGN_OR_RETURN(source.top_snapshot, TopSnapshot(client, image));
  source.labels =
      ContainerLabels(source.config, Labels(record.labels().begin(), record.labels().end()),
                      ParseLabels(flags.labels));
  return source;
}

// The snapshot of a container under construction.
class NewSnapshot {
 public:
  NewSnapshot(const Client& client, const std::string& snapshotter, std::string key)
      : snapshotter_(client, snapshotter), key_(std::move(key)) {}
  NewSnapshot(const NewSnapshot&) = delete;
  NewSnapshot& operator=(const NewSnapshot&) = delete;
  ~NewSnapshot() {
    if (made_) snapshotter_.RemoveIfThere(key_).IgnoreError();  // collected otherwise
  }

  absl::Status Prepare(const ContainerFlags& flags, const std::string& parent) {
    Labels labels = ParseLabels(flags.snapshotter_labels);
    std::string base = parent;
    if (!flags.uidmap.empty()) {
      ASSIGN_OR_RETURN(const RemappedParent remapped, RemapParent(snapshotter_, parent, flags));
      base = remapped.parent;
      labels.insert(remapped.labels.begin(), remapped.labels.end());
    }
    RETURN_IF_ERROR(snapshotter_.Prepare(key_, base, labels).status());
    made_ = true;
    return absl::OkStatus();
  }

  absl::StatusOr<Rootfs> OpenRoot() {
    ASSIGN_OR_RETURN(const ProtoMounts mounts, snapshotter_.Mounts(key_));
    return Rootfs::Mount(mounts, Rootfs::Access::kReadOnly);
  }

  void Keep() { made_ = false; }

 private:
  Snapshotter snapshotter_;
  std::string key_;
  bool made_ = false;
};

absl::StatusOr<std::string> AbsolutePath(const std::string& path) {
  std::error_code error;
  const std::filesystem::path absolute = std::filesystem::absolute(path, error);
  if (error) return FromErrno(error.value(), "absolute path of " + path);
  std::string clean = absolute.lexically_normal().string();
  if (clean.size() > 1 && clean.ends_with('/')) clean.pop_back();
  return clean;
}

absl::Status FinishRecord(const ContainerFlags& flags, const SpecInput& input,
                          containers::Container& record) {
  ASSIGN_OR_RETURN(const Json spec, BuildSpec(flags, input));
  record.mutable_spec()->set_type_url(std::string(oci::kSpecTypeUrl));
  record.mutable_spec()->set_value(DumpJson(spec));
  record.set_sandbox(flags.sandbox);
  return SetRuntime(flags, *record.mutable_runtime());
}

absl::StatusOr<containers::Container> Put(const Client& client, containers::Container record) {
  containers::CreateContainerRequest request;
  *request.mutable_container() = std::move(record);
  ASSIGN_OR_RETURN(containers::CreateContainerResponse response,
                   Service<containers::Containers>(client).Call(&Stub::Create, request));
  return std::move(*response.mutable_container());
}

absl::StatusOr<containers::Container> CreateFromImage(Client& client, const ContainerFlags& flags,
                                                      const ContainerArguments& arguments,
                                                      containers::Container record) {
  ASSIGN_OR_RETURN(const std::string snapshotter, ResolveSnapshotter(client, flags.snapshotter));
  ASSIGN_OR_RETURN(const SourceImage image,
                   LoadImage(client, flags, arguments.source, snapshotter));
  NewSnapshot snapshot(client, snapshotter, arguments.id);
  RETURN_IF_ERROR(snapshot.Prepare(flags, image.top_snapshot));
  const SpecInput input{.ns = client.ns(),
                        .id = arguments.id,
                        .arguments = arguments.command,
                        .image = image.config,
                        .root_folder = "",
                        .open_root = [&] { return snapshot.OpenRoot(); }};
  RETURN_IF_ERROR(FinishRecord(flags, input, record));
  record.mutable_labels()->insert(image.labels.begin(), image.labels.end());
  record.set_image(arguments.source);
  record.set_snapshotter(snapshotter);
  record.set_snapshot_key(arguments.id);
  ASSIGN_OR_RETURN(containers::Container created, Put(client, std::move(record)));
  snapshot.Keep();
  return created;
}

}  // namespace

absl::StatusOr<ContainerArguments> ParseContainerArguments(const ContainerFlags& flags,
                                                           const std::vector<std::string>& words) {
  if (!flags.config.empty()) {
    if (words.size() > 1) {
      return InvalidArgument("with spec config file, only container id should be provided");
    }
    if (words.empty()) return InvalidArgument("container id must be provided");
    return ContainerArguments{.source = "", .id = words[0], .command = {}};
  }
  if (words.empty()) return InvalidArgument("image ref must be provided");
  if (words.size() < 2) return InvalidArgument("container id must be provided");
  return ContainerArguments{
      .source = words[0], .id = words[1], .command = {words.begin() + 2, words.end()}};
}

absl::StatusOr<containers::Container> CreateContainer(Client& client, const ContainerFlags& flags,
                                                      const ContainerArguments& arguments) {
  RETURN_IF_ERROR(CheckContainerFlags(flags));
  ASSIGN_OR_RETURN(const ScopedLease lease, ScopedLease::Make(client));
  containers::Container record;
  record.set_id(arguments.id);
  if (flags.config.empty() && !flags.rootfs) {
    return CreateFromImage(client, flags, arguments, std::move(record));
  }
  for (const auto& [key, value] : ParseLabels(flags.labels)) {
    (*record.mutable_labels())[key] = value;
  }
  SpecInput input{.ns = client.ns(),
                  .id = arguments.id,
                  .arguments = arguments.command,
                  .image = std::nullopt,
                  .root_folder = "",
                  .open_root = [&] { return Rootfs::Open(input.root_folder); }};
  if (flags.config.empty()) {
    ASSIGN_OR_RETURN(input.root_folder, AbsolutePath(arguments.source));
  }
  RETURN_IF_ERROR(FinishRecord(flags, input, record));
  return Put(client, std::move(record));
}

absl::StatusOr<containers::Container> GetContainer(const Client& client, const std::string& id) {
  if (id.empty()) return InvalidArgument("container id must be provided");
  containers::GetContainerRequest request;
  request.set_id(id);
  ASSIGN_OR_RETURN(containers::GetContainerResponse response,
                   Service<containers::Containers>(client).Call(&Stub::Get, request));
  return std::move(*response.mutable_container());
}

absl::StatusOr<Json> SpecOf(const containers::Container& container) {
  return oci::ParseSpec(container.spec().value());
}

absl::Status DeleteContainer(const Client& client, const containers::Container& container,
                             SnapshotFate fate) {
  if (fate == SnapshotFate::kRemove && !container.snapshot_key().empty()) {
    if (container.snapshotter().empty()) {
      return InvalidArgument("container {}: a snapshot without a snapshotter", container.id());
    }
    RETURN_IF_ERROR(
        Snapshotter(client, container.snapshotter()).RemoveIfThere(container.snapshot_key()));
  }
  containers::DeleteContainerRequest request;
  request.set_id(container.id());
  return Service<containers::Containers>(client).Call(&Stub::Delete, request).status();
}

}  // namespace gantry::gctr
