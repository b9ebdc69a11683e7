// SPDX-License-Identifier: Apache-2.0
#include "core/containers/container_store.h"

#include <algorithm>

#include "core/base/identifiers.h"
#include "core/containers/container_record.h"
#include "core/db/key.h"
#include "core/metadata/record.h"
#include "proto/events/container.pb.h"

namespace gantry::containers {
namespace {

using metadata::Node;
using metadata::NodeType;
using metadata::TableId;

absl::Status Validate(const Container& container) {
  RETURN_IF_ERROR(Annotate(ValidateIdentifier(container.id), "container.ID"));
  for (const auto& [name, value] : container.extensions) {
    if (name.empty())
      return InvalidArgument("container {:?}: extension name must not be empty", container.id);
    if (value.type_url().empty()) {
      return InvalidArgument("container {:?}: extension {:?} has no value", container.id, name);
    }
  }
  RETURN_IF_ERROR(
      Annotate(ValidateLabels(container.labels), fmt::format("container {:?}", container.id)));
  if (container.runtime_name.empty())
    return InvalidArgument("container {:?}: runtime must be set", container.id);
  if (!container.spec) return InvalidArgument("container {:?}: spec must be set", container.id);
  if (!container.snapshot_key.empty() && container.snapshotter.empty()) {
    return InvalidArgument("container {:?}: snapshot key needs a snapshotter", container.id);
  }
  return db::CheckComponent("snapshot key", container.snapshot_key);
}

absl::Status Store(metadata::WriteTxn& txn, const Context& ctx, const Container& container) {
  const Node node{NodeType::kContainer, ctx.ns, container.id};
  txn.Touch(node);
  if (!container.snapshotter.empty()) {
    txn.Touch(metadata::SnapshotNode(ctx.ns, container.snapshotter, container.snapshot_key));
  }
  txn.TouchLabels(node, container.labels);
  return txn.Put(TableId::kContainers, db::JoinKey({ctx.ns, container.id}),
                 EncodeContainer(container));
}

absl::Status ReplaceAll(const Container& from, Container& to) {
  if (from.snapshotter != to.snapshotter) {
    return InvalidArgument("container {:?}: snapshotter is immutable", from.id);
  }
  if (from.runtime_name != to.runtime_name)
    return InvalidArgument("container {:?}: runtime is immutable", from.id);
  to.labels = from.labels;
  to.spec = from.spec;
  to.extensions = from.extensions;
  to.image = from.image;
  to.snapshot_key = from.snapshot_key;
  return absl::OkStatus();
}

absl::Status ApplyPath(std::string_view path, const Container& from, Container& to) {
  std::string_view key;
  if (metadata::ApplyLabelPath(path, "labels", from.labels, to.labels)) return absl::OkStatus();
  if (metadata::ConsumeKeyPath(path, "extensions", key)) {
    // An extension is removed by replacing all of them: a value that is missing here is a mistake.
    if (!from.extensions.contains(key)) {
      return InvalidArgument("container {:?}: extension {:?} has no value", from.id, key);
    }
    metadata::CopyKey(from.extensions, key, to.extensions);
  } else if (path == "extensions") {
    to.extensions = from.extensions;
  } else if (path == "spec") {
    to.spec = from.spec;
  } else if (path == "image") {
    to.image = from.image;
  } else if (path == "snapshotkey") {
    to.snapshot_key = from.snapshot_key;
  } else {
    return InvalidArgument("cannot update {:?} field on container {:?}", path, from.id);
  }
  return absl::OkStatus();
}

absl::Status Apply(const metadata::FieldMask& mask, const Container& from, Container& to) {
  if (mask.empty()) RETURN_IF_ERROR(ReplaceAll(from, to));
  for (const std::string& path : mask) RETURN_IF_ERROR(ApplyPath(path, from, to));
  DropEmptyLabels(to.labels);
  return Validate(to);
}

}  // namespace

absl::StatusOr<Container> ContainerStore::Get(const Context& ctx, std::string_view id) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const auto record, txn.Get(TableId::kContainers, db::JoinKey({ctx.ns, id})));
  if (!record) return NotFound("container {:?} in namespace {:?}", id, ctx.ns);
  return DecodeContainer(id, *record);
}

absl::StatusOr<std::vector<Container>> ContainerStore::List(const Context& ctx,
                                                            std::string_view after,
                                                            size_t limit) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  const std::string prefix = db::KeyPrefix({ctx.ns});
  const std::string start = after.empty() ? std::string() : prefix + std::string(after);
  std::vector<Container> containers;
  RETURN_IF_ERROR(txn.raw().ForEach(
      txn.table(TableId::kContainers), prefix, start,
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(Container container, DecodeContainer(key.substr(prefix.size()), bytes));
        containers.push_back(std::move(container));
        return containers.size() == limit ? db::Scan::kStop : db::Scan::kContinue;
      }));
  return containers;
}

absl::StatusOr<Container> ContainerStore::Create(const Context& ctx, Container container) {
  RETURN_IF_ERROR(Validate(container));
  DropEmptyLabels(container.labels);
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known,
                     txn.Has(TableId::kContainers, db::JoinKey({ctx.ns, container.id})));
    if (known) return AlreadyExists("container {:?}", container.id);
    container.created_at = container.updated_at = txn.now();
    RETURN_IF_ERROR(txn.EnsureNamespace(ctx.ns));
    return Store(txn, ctx, container);
  }));
  containerd::events::ContainerCreate event;
  event.set_id(container.id);
  event.set_image(container.image);
  event.mutable_runtime()->set_name(container.runtime_name);
  if (container.runtime_options)
    *event.mutable_runtime()->mutable_options() = *container.runtime_options;
  RETURN_IF_ERROR(events_.Publish(ctx, "/containers/create", event));
  return container;
}

absl::StatusOr<Container> ContainerStore::Update(const Context& ctx, const Container& container,
                                                 const metadata::FieldMask& mask) {
  if (container.id.empty()) return InvalidArgument("container id must be specified");
  ASSIGN_OR_RETURN(Container result,
                   metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Container> {
                     ASSIGN_OR_RETURN(
                         const auto record,
                         txn.Get(TableId::kContainers, db::JoinKey({ctx.ns, container.id})));
                     if (!record) return NotFound("container {:?}", container.id);
                     ASSIGN_OR_RETURN(Container updated, DecodeContainer(container.id, *record));
                     const absl::Time before = updated.updated_at;
                     RETURN_IF_ERROR(Apply(mask, container, updated));
                     // Clients order changes by this time, so it grows even where the clock stands
                     // still.
                     updated.updated_at = std::max(txn.now(), before + absl::Nanoseconds(1));
                     RETURN_IF_ERROR(Store(txn, ctx, updated));
                     return updated;
                   }));
  containerd::events::ContainerUpdate event;
  event.set_id(result.id);
  event.set_image(result.image);
  metadata::ToProto(result.labels, event.mutable_labels());
  event.set_snapshot_key(result.snapshot_key);
  RETURN_IF_ERROR(events_.Publish(ctx, "/containers/update", event));
  return result;
}

absl::Status ContainerStore::Delete(const Context& ctx, std::string_view id) {
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const bool known, txn.Delete(TableId::kContainers, db::JoinKey({ctx.ns, id})));
    if (!known) return NotFound("container {:?}", id);
    txn.MarkDirty();
    return absl::OkStatus();
  }));
  containerd::events::ContainerDelete event;
  event.set_id(std::string(id));
  return events_.Publish(ctx, "/containers/delete", event);
}

}  // namespace gantry::containers
