// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/activation_resource.h"

#include <string_view>
#include <utility>

#include "core/gc/scan.h"
#include "core/mount/manager/activation_record.h"

namespace gantry::mount {
namespace {

using metadata::Node;
using metadata::TableId;

constexpr std::string_view kBackReference = "containerd.io/gc.bref.";

absl::StatusOr<gc::Object> Describe(Node node, std::string_view bytes) {
  ASSIGN_OR_RETURN(ActivationRecord record, DecodeActivation(node.ns, node.key, bytes));
  gc::Object object{.root = !record.complete};
  if (!record.lease.empty()) {
    object.kept_by = {{metadata::NodeType::kLease, node.ns, std::move(record.lease)}};
  }
  // A mount keeps nothing itself.
  object.labels = std::move(record.info.labels);
  std::erase_if(object.labels,
                [](const auto& label) { return !label.first.starts_with(kBackReference); });
  object.node = std::move(node);
  return object;
}

}  // namespace

absl::Status ActivationResource::Scan(const metadata::View& view, absl::Time,
                                      absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kActivations, type(), Describe, visit);
}

absl::StatusOr<std::optional<gc::Object>> ActivationResource::Load(const metadata::View& view,
                                                                   absl::Time, const Node& node) {
  return gc::LoadRow(view, TableId::kActivations, node, Describe);
}

absl::Status ActivationResource::Sweep(metadata::WriteTxn& txn, const Node& node) {
  return txn.Delete(TableId::kActivations, db::JoinKey({node.ns, node.key})).status();
}

}  // namespace gantry::mount
