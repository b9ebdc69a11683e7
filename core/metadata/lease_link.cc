// SPDX-License-Identifier: Apache-2.0
#include "core/metadata/lease_link.h"

#include "core/db/key.h"

namespace gantry::metadata {
namespace {
constexpr std::string_view kSnapshotPrefix = "snapshots/";
}  // namespace

std::string SnapshotResource(std::string_view snapshotter) {
  return std::string(kSnapshotPrefix) + std::string(snapshotter);
}

Node ResourceNode(std::string_view ns, std::string_view type, std::string_view id) {
  if (type.starts_with(kSnapshotPrefix))
    return SnapshotNode(ns, type.substr(kSnapshotPrefix.size()), id);
  NodeType node = NodeType::kContent;
  if (type == kImageResource) node = NodeType::kImage;
  if (type == kIngestResource) node = NodeType::kIngest;
  return {node, std::string(ns), std::string(id)};
}

absl::Status AddToLease(WriteTxn& txn, const Context& ctx, std::string_view type,
                        std::string_view id) {
  if (ctx.lease.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(db::CheckComponent("lease id", ctx.lease));
  ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kLeases, db::JoinKey({ctx.ns, ctx.lease})));
  if (!known) return NotFound("lease does not exist: \"{}\"", ctx.lease);
  txn.Touch(ResourceNode(ctx.ns, type, id));
  return txn.Put(TableId::kLeaseMembers, db::JoinKey({ctx.ns, ctx.lease, type, id}), {});
}

absl::Status RemoveFromLease(WriteTxn& txn, const Context& ctx, std::string_view type,
                             std::string_view id) {
  if (ctx.lease.empty() || ctx.lease.find('\0') != std::string::npos) return absl::OkStatus();
  return txn.Delete(TableId::kLeaseMembers, db::JoinKey({ctx.ns, ctx.lease, type, id})).status();
}

}  // namespace gantry::metadata
