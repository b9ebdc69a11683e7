// SPDX-License-Identifier: Apache-2.0
#include "core/images/image_resource.h"

#include "core/gc/scan.h"
#include "core/images/image_record.h"

namespace gantry::images {
namespace {

using metadata::Node;
using metadata::NodeType;
using metadata::TableId;

auto Describe(absl::Time now) {
  return [now](Node node, std::string_view bytes) -> absl::StatusOr<gc::Object> {
    ASSIGN_OR_RETURN(Image image, DecodeImage(node.key, bytes));
    gc::Object object;
    gc::SetRoot(object, metadata::ParseLabels(node.ns, image.labels).expires, now);
    object.keeps = {{NodeType::kContent, node.ns, std::move(image.target.digest)}};
    object.labels = std::move(image.labels);
    object.node = std::move(node);
    return object;
  };
}

}  // namespace

absl::Status ImageResource::Scan(const metadata::View& view, absl::Time now,
                                 absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kImages, type(), Describe(now), visit);
}

absl::StatusOr<std::optional<gc::Object>> ImageResource::Load(const metadata::View& view,
                                                              absl::Time now, const Node& node) {
  return gc::LoadRow(view, TableId::kImages, node, Describe(now));
}

absl::Status ImageResource::Sweep(metadata::WriteTxn& txn, const Node& node) {
  return txn.Delete(TableId::kImages, db::JoinKey({node.ns, node.key})).status();
}

}  // namespace gantry::images
