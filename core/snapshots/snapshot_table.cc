// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/snapshot_table.h"

#include "core/db/key.h"
#include "core/metadata/lease_link.h"

namespace gantry::snapshots {
namespace {

using metadata::SnapshotNode;
using metadata::TableId;

// No chain is longer: a kernel mounts 500 layers at most, and a copying driver needs no more.
constexpr size_t kMaxChain = 10'000;

}  // namespace

absl::Status CheckKey(std::string_view what, std::string_view key) {
  if (key.empty()) return InvalidArgument("{} must not be empty", what);
  return db::CheckComponent(what, key);
}

absl::Status CheckRequest(PrepareRequest& request) {
  RETURN_IF_ERROR(CheckKey("snapshot key", request.key));
  RETURN_IF_ERROR(db::CheckComponent("parent snapshot", request.parent));
  RETURN_IF_ERROR(ValidateLabels(request.labels));
  DropEmptyLabels(request.labels);
  return db::CheckComponent("target snapshot", TargetOf(request.labels));
}

absl::Status CheckRequest(CommitRequest& request) {
  RETURN_IF_ERROR(CheckKey("snapshot name", request.name));
  RETURN_IF_ERROR(CheckKey("snapshot key", request.key));
  RETURN_IF_ERROR(db::CheckComponent("parent snapshot", request.parent));
  RETURN_IF_ERROR(ValidateLabels(request.labels));
  DropEmptyLabels(request.labels);
  return absl::OkStatus();
}

std::string_view TargetOf(const Labels& labels) {
  const auto label = labels.find(kTargetLabel);
  return label == labels.end() ? std::string_view() : label->second;
}

std::string SnapshotTable::Key(std::string_view ns, std::string_view key) const {
  return db::JoinKey({ns, snapshotter_, key});
}

std::string SnapshotTable::ChildKey(std::string_view ns, std::string_view parent,
                                    std::string_view key) const {
  return db::JoinKey({ns, snapshotter_, parent, key});
}

absl::StatusOr<std::optional<Snapshot>> SnapshotTable::Find(const metadata::View& view,
                                                            std::string_view ns,
                                                            std::string_view key) const {
  ASSIGN_OR_RETURN(const auto bytes, view.Get(TableId::kSnapshots, Key(ns, key)));
  if (!bytes) return std::nullopt;
  ASSIGN_OR_RETURN(Snapshot snapshot, DecodeSnapshot(key, *bytes));
  return snapshot;
}

absl::StatusOr<Snapshot> SnapshotTable::Get(const metadata::View& view, std::string_view ns,
                                            std::string_view key) const {
  ASSIGN_OR_RETURN(std::optional<Snapshot> snapshot, Find(view, ns, key));
  if (!snapshot) return NotFound("snapshot {} does not exist", key);
  return *std::move(snapshot);
}

absl::StatusOr<bool> SnapshotTable::HasChildren(const metadata::View& view, std::string_view ns,
                                                std::string_view key) const {
  return view.txn.Any(view.table(TableId::kSnapshotChildren),
                      db::KeyPrefix({ns, snapshotter_, key}));
}

absl::StatusOr<Snapshot> SnapshotTable::GetParent(const metadata::View& view, std::string_view ns,
                                                  std::string_view parent) const {
  ASSIGN_OR_RETURN(std::optional<Snapshot> snapshot, Find(view, ns, parent));
  if (!snapshot) return NotFound("parent snapshot {} does not exist", parent);
  if (snapshot->info.kind != Kind::kCommitted)
    return InvalidArgument("parent snapshot {} is not committed", parent);
  return *std::move(snapshot);
}

absl::StatusOr<std::vector<uint64_t>> SnapshotTable::LocalChain(const metadata::View& view,
                                                                std::string_view ns,
                                                                std::string_view parent) const {
  std::vector<uint64_t> ids;
  std::string key(parent);
  while (!key.empty()) {
    if (ids.size() == kMaxChain) return DataLoss("snapshot {} has endless parents", parent);
    ASSIGN_OR_RETURN(const Snapshot snapshot, GetParent(view, ns, key));
    ids.push_back(snapshot.local_id);
    key = snapshot.info.parent;
  }
  return ids;
}

absl::StatusOr<std::optional<std::string>> SnapshotTable::FindExisting(
    const metadata::View& view, std::string_view ns, const PrepareRequest& request) const {
  for (const std::string_view key : {TargetOf(request.labels), std::string_view(request.key)}) {
    if (key.empty()) continue;
    ASSIGN_OR_RETURN(const std::optional<Snapshot> found, Find(view, ns, key));
    if (found) return std::string(key);
  }
  return std::nullopt;
}

absl::StatusOr<std::string> SnapshotTable::ParentAfterCommit(const metadata::View& view,
                                                             std::string_view ns,
                                                             const CommitRequest& request,
                                                             const Snapshot& active,
                                                             bool can_rebase) const {
  const std::string& now = active.info.parent;
  if (request.parent.empty() || request.parent == now) return now;
  if (!now.empty()) {
    return InvalidArgument("snapshot {} has parent {} and cannot get parent {}", request.key, now,
                           request.parent);
  }
  if (!can_rebase) return Unimplemented("snapshotter {} cannot rebase", snapshotter_);
  ASSIGN_OR_RETURN(const std::optional<Snapshot> parent, Find(view, ns, request.parent));
  if (!parent) return NotFound("parent snapshot {} does not exist", request.parent);
  if (parent->info.kind != Kind::kCommitted)
    return FailedPrecondition("parent snapshot {} is not committed", request.parent);
  return request.parent;
}

absl::Status SnapshotTable::ForEach(
    const metadata::View& view, std::string_view ns, std::string_view after,
    absl::FunctionRef<absl::StatusOr<db::Scan>(const Snapshot& snapshot)> row) const {
  const std::string prefix = db::KeyPrefix({ns, snapshotter_});
  const std::string start = after.empty() ? std::string() : prefix + std::string(after);
  return view.txn.ForEach(
      view.table(TableId::kSnapshots), prefix, start,
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(const Snapshot snapshot, DecodeSnapshot(key.substr(prefix.size()), bytes));
        return row(snapshot);
      });
}

absl::StatusOr<std::string> SnapshotTable::NextBackendKey(metadata::WriteTxn& txn,
                                                          std::string_view ns,
                                                          std::string_view key) const {
  ASSIGN_OR_RETURN(const uint64_t number,
                   txn.NextSequence(fmt::format("snapshot-keys/{}/{}", ns, snapshotter_)));
  return fmt::format("{}/{}/{}", ns, number, key);
}

absl::Status SnapshotTable::Insert(metadata::WriteTxn& txn, std::string_view ns,
                                   const Snapshot& snapshot) const {
  const Info& info = snapshot.info;
  RETURN_IF_ERROR(txn.EnsureNamespace(ns));
  txn.Touch(SnapshotNode(ns, snapshotter_, info.name));
  if (!info.parent.empty()) {
    txn.Touch(SnapshotNode(ns, snapshotter_, info.parent));
    RETURN_IF_ERROR(txn.Put(TableId::kSnapshotChildren, ChildKey(ns, info.parent, info.name), {}));
  }
  RETURN_IF_ERROR(txn.Put(TableId::kSnapshotBackends,
                          db::JoinKey({snapshotter_, snapshot.backend_key, ns, info.name}), {}));
  return Update(txn, ns, snapshot);
}

absl::Status SnapshotTable::Update(metadata::WriteTxn& txn, std::string_view ns,
                                   const Snapshot& snapshot) const {
  txn.TouchLabels(SnapshotNode(ns, snapshotter_, snapshot.info.name), snapshot.info.labels);
  return txn.Put(TableId::kSnapshots, Key(ns, snapshot.info.name), EncodeSnapshot(snapshot));
}

absl::Status SnapshotTable::Erase(metadata::WriteTxn& txn, std::string_view ns,
                                  const Snapshot& snapshot) const {
  const Info& info = snapshot.info;
  if (!info.parent.empty()) {
    RETURN_IF_ERROR(
        txn.Delete(TableId::kSnapshotChildren, ChildKey(ns, info.parent, info.name)).status());
  }
  RETURN_IF_ERROR(txn.Delete(TableId::kSnapshotBackends,
                             db::JoinKey({snapshotter_, snapshot.backend_key, ns, info.name}))
                      .status());
  return txn.Delete(TableId::kSnapshots, Key(ns, info.name)).status();
}

absl::Status SnapshotTable::Discard(metadata::WriteTxn& txn, std::string_view ns,
                                    const Snapshot& snapshot) const {
  RETURN_IF_ERROR(Erase(txn, ns, snapshot));
  txn.MarkSnapshotterDirty(snapshotter_);
  if (snapshot.local_id != 0) return AddTrash(txn, std::to_string(snapshot.local_id));
  // A snapshot that a proxy provided may serve several namespaces.
  ASSIGN_OR_RETURN(const bool shared,
                   txn.raw().Any(txn.table(TableId::kSnapshotBackends),
                                 db::KeyPrefix({snapshotter_, snapshot.backend_key})));
  return shared ? absl::OkStatus() : AddTrash(txn, snapshot.backend_key);
}

absl::Status SnapshotTable::Lease(metadata::WriteTxn& txn, const Context& ctx,
                                  std::string_view key) const {
  return metadata::AddToLease(txn, ctx, metadata::SnapshotResource(snapshotter_), key);
}

absl::Status SnapshotTable::Unlease(metadata::WriteTxn& txn, const Context& ctx,
                                    std::string_view key) const {
  return metadata::RemoveFromLease(txn, ctx, metadata::SnapshotResource(snapshotter_), key);
}

absl::Status SnapshotTable::AddTrash(metadata::WriteTxn& txn, std::string_view what) const {
  return txn.Put(TableId::kSnapshotTrash, db::JoinKey({snapshotter_, what}), {});
}

absl::Status SnapshotTable::RemoveTrash(metadata::WriteTxn& txn, std::string_view what) const {
  return txn.Delete(TableId::kSnapshotTrash, db::JoinKey({snapshotter_, what})).status();
}

absl::StatusOr<std::vector<std::string>> SnapshotTable::Trash(const metadata::View& view,
                                                              std::string_view after,
                                                              size_t limit) const {
  const std::string prefix = db::KeyPrefix({snapshotter_});
  const std::string start = after.empty() ? std::string() : prefix + std::string(after);
  std::vector<std::string> trash;
  RETURN_IF_ERROR(
      view.txn.ForEach(view.table(TableId::kSnapshotTrash), prefix, start,
                       [&](std::string_view key, std::string_view) -> absl::StatusOr<db::Scan> {
                         trash.emplace_back(key.substr(prefix.size()));
                         return trash.size() == limit ? db::Scan::kStop : db::Scan::kContinue;
                       }));
  return trash;
}

}  // namespace gantry::snapshots
