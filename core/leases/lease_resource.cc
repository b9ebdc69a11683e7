// SPDX-License-Identifier: Apache-2.0
#include "core/leases/lease_resource.h"

#include "core/gc/scan.h"
#include "core/leases/lease_store.h"
#include "core/metadata/lease_link.h"
#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::leases {
namespace {

using metadata::Node;
using metadata::TableId;

absl::StatusOr<std::vector<Node>> Members(const metadata::View& view, const Node& lease) {
  std::vector<Node> members;
  const std::string prefix = db::KeyPrefix({lease.ns, lease.key});
  RETURN_IF_ERROR(
      view.txn.ForEach(view.table(TableId::kLeaseMembers), prefix,
                       [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                         const auto parts = db::SplitKey(key.substr(prefix.size()));
                         if (parts.size() != 2) return DataLoss("lease member of {:?}", lease.key);
                         members.push_back(metadata::ResourceNode(lease.ns, parts[0], parts[1]));
                         return db::Scan::kContinue;
                       }));
  return members;
}

auto Describe(const metadata::View& view, absl::Time now) {
  return [&view, now](Node node, std::string_view bytes) -> absl::StatusOr<gc::Object> {
    using Record = ::gantry::metadata::v1::LeaseRecord;
    ASSIGN_OR_RETURN(const Record record, metadata::Decode<Record>(bytes));
    gc::Object object{.labels = metadata::FromProto(record.labels())};
    const metadata::LabelReferences references = metadata::ParseLabels(node.ns, object.labels);
    gc::SetRoot(object, references.expires, now);
    object.keeps_flat = references.flat;
    ASSIGN_OR_RETURN(object.keeps, Members(view, node));
    object.node = std::move(node);
    return object;
  };
}

}  // namespace

absl::Status LeaseResource::Scan(const metadata::View& view, absl::Time now,
                                 absl::FunctionRef<absl::Status(gc::Object)> visit) {
  return gc::ScanTable(view, TableId::kLeases, type(), Describe(view, now), visit);
}

absl::StatusOr<std::optional<gc::Object>> LeaseResource::Load(const metadata::View& view,
                                                              absl::Time now, const Node& node) {
  return gc::LoadRow(view, TableId::kLeases, node, Describe(view, now));
}

absl::Status LeaseResource::Sweep(metadata::WriteTxn& txn, const Node& node) {
  return DeleteLease(txn, node.ns, node.key);
}

}  // namespace gantry::leases
