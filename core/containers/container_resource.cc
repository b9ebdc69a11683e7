// SPDX-License-Identifier: Apache-2.0
#include "core/containers/container_resource.h"

#include "core/containers/container_record.h"
#include "core/gc/scan.h"

namespace gantry::containers {
namespace {

using metadata::Node;
using metadata::TableId;

absl::StatusOr<gc::Object> Describe(Node node, std::string_view bytes) {
  ASSIGN_OR_RETURN(Container container, DecodeContainer(node.key, bytes));
  gc::Object object{.root = true, .collectible = false};
  if (!container.snapshotter.empty()) {
    object.keeps = {metadata::SnapshotNode(node.ns, container.snapshotter, container.snapshot_key)};
  }
  object.labels = std::move(container.labels);
  object.node = std::move(node);
  return object;
}

}  // namespace

absl::Status ContainerResource::Scan(const metadata::View& view, absl::Time,
                                     absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kContainers, type(), Describe, visit);
}

absl::StatusOr<std::optional<gc::Object>> ContainerResource::Load(const metadata::View& view,
                                                                  absl::Time, const Node& node) {
  return gc::LoadRow(view, TableId::kContainers, node, Describe);
}

absl::Status ContainerResource::Sweep(metadata::WriteTxn&, const Node& node) {
  return Internal("container {:?} must not be collected", node.key);
}

}  // namespace gantry::containers
