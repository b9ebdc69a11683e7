// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/task_checkpoint.h"

#include <utility>
#include <vector>

#include "absl/cleanup/cleanup.h"
#include "cmd/gctr/client/content.h"
#include "cmd/gctr/client/image.h"
#include "cmd/gctr/client/lease.h"
#include "cmd/gctr/client/snapshots.h"
#include "cmd/gctr/container/create.h"
#include "cmd/gctr/process/task_process.h"
#include "cmd/gctr/snapshot_diff.h"
#include "core/base/status.h"
#include "core/imagespec/documents.h"
#include "core/imagespec/media_types.h"
#include "proto/types/runc/options/oci.pb.h"

namespace gantry::gctr {
namespace {

namespace containers = containerd::services::containers::v1;
namespace images = containerd::services::images::v1;
namespace tasks = containerd::services::tasks::v1;
namespace types = containerd::v1::types;
using Stub = tasks::Tasks::Stub;
using Tasks = Service<tasks::Tasks>;

absl::Status Pause(const Client& client, const std::string& id) {
  tasks::PauseTaskRequest request;
  request.set_container_id(id);
  return Tasks(client).Call(&Stub::Pause, request).status();
}

void Resume(const Client& client, const std::string& id) {
  tasks::ResumeTaskRequest request;
  request.set_container_id(id);
  Tasks(client).Call(&Stub::Resume, request).status().IgnoreError();  // it may have exited
}

absl::Status AddMemory(const Client& client, const std::string& id,
                       const CheckpointSettings& settings, Json& manifests) {
  containerd::runc::v1::CheckpointOptions options;
  options.set_exit(settings.exit);
  options.set_image_path(settings.image_path);
  options.set_work_path(settings.work_path);
  tasks::CheckpointTaskRequest request;
  request.set_container_id(id);
  request.mutable_options()->set_type_url(options.GetTypeName());
  request.mutable_options()->set_value(options.SerializeAsString());
  ASSIGN_OR_RETURN(const tasks::CheckpointTaskResponse response,
                   Tasks(client).Call(&Stub::Checkpoint, request));
  for (const auto& descriptor : response.descriptors()) {
    manifests.push_back(
        imagespec::ToJson({.descriptor = FromProto(descriptor), .platform = HostPlatform()}));
  }
  return absl::OkStatus();
}

absl::Status AddChanges(const Client& client, const containers::Container& container,
                        Json& manifests) {
  if (container.snapshot_key().empty()) return absl::OkStatus();
  Snapshotter snapshotter(client, container.snapshotter());
  DiffSettings settings;
  settings.ref = "checkpoint-rw-" + container.id();
  ASSIGN_OR_RETURN(const Descriptor layer,
                   DiffSnapshots(client, snapshotter, container.snapshot_key(), "", settings));
  manifests.push_back(imagespec::ToJson({.descriptor = layer, .platform = HostPlatform()}));
  return absl::OkStatus();
}

absl::StatusOr<Descriptor> WriteIndex(const Client& client, const std::string& id,
                                      const Json& index) {
  const std::string text = DumpJson(index);
  BlobWrite write{.ref = id + "-index",
                  .expected = Digest::Of(text).str(),
                  .size = static_cast<int64_t>(text.size())};
  size_t count = 0;
  for (const Json& manifest : index["manifests"]) {
    write.labels["containerd.io/gc.ref.content." + std::to_string(count++)] =
        StringMember(manifest, "digest");
  }
  ViewReader reader(text);
  RETURN_IF_ERROR(StoreBlob(client, write, reader).status());
  return Descriptor{.media_type = std::string(imagespec::kOciIndex),
                    .digest = write.expected,
                    .size = write.size};
}

absl::StatusOr<std::string> RecordImage(const Client& client, const std::string& id,
                                        const Descriptor& index) {
  images::Image image;
  image.set_name("containerd.io/checkpoint/" + id + ":" +
                 absl::FormatTime("%m-%d-%Y-%H:%M:%S", absl::Now(), absl::LocalTimeZone()));
  ToProto(index, *image.mutable_target());
  (*image.mutable_labels())["containerd.io/checkpoint"] = "true";
  RETURN_IF_ERROR(PutImage(client, image));
  return image.name();
}

}  // namespace

absl::StatusOr<std::string> CheckpointTask(Client& client, const std::string& id,
                                           const CheckpointSettings& settings) {
  ASSIGN_OR_RETURN(const ScopedLease lease, ScopedLease::Make(client));
  ASSIGN_OR_RETURN(const containers::Container container, GetContainer(client, id));
  ASSIGN_OR_RETURN(const types::Process process, TaskProcess(client, id).Get());
  absl::Cleanup resume = [&] { Resume(client, id); };
  if (process.status() == types::PAUSED) {
    std::move(resume).Cancel();
  } else {
    RETURN_IF_ERROR(Pause(client, id));
  }
  Json index = {
      {"schemaVersion", 2}, {"manifests", Json::array()}, {"annotations", Json::object()}};
  RETURN_IF_ERROR(AddMemory(client, id, settings, index["manifests"]));
  if (!settings.image_path.empty()) return "";
  if (!container.image().empty()) {
    ASSIGN_OR_RETURN(const images::Image image, GetImage(client, container.image()));
    index["manifests"].push_back(imagespec::ToJson({.descriptor = FromProto(image.target())}));
    index["annotations"]["image.name"] = container.image();
  }
  RETURN_IF_ERROR(AddChanges(client, container, index["manifests"]));
  ASSIGN_OR_RETURN(const Descriptor written, WriteIndex(client, id, index));
  return RecordImage(client, id, written);
}

}  // namespace gantry::gctr
