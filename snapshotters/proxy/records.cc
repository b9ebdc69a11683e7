// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/records.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "core/db/key.h"

namespace gantry::proxy {

using metadata::TableId;
using snapshots::CommitRequest;
using snapshots::Info;
using snapshots::Intent;
using snapshots::Kind;
using snapshots::PrepareRequest;
using snapshots::Snapshot;

namespace {

absl::Status ExistsError(std::string_view key) { return AlreadyExists("snapshot {}", key); }

// The number in "<namespace>/<n>/<key>"; 0 for a key that the other process chose.
uint64_t NumberOf(std::string_view backend_key) {
  const size_t slash = backend_key.find('/');
  if (slash == std::string_view::npos) return 0;
  const std::string_view rest = backend_key.substr(slash + 1);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), number);
  return error == std::errc() && end != rest.data() + rest.size() && *end == '/' ? number : 0;
}

}  // namespace

absl::StatusOr<Snapshot> Records::Get(const Context& ctx, std::string_view key) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  return table_.Get(txn.view(), ctx.ns, key);
}

absl::StatusOr<std::vector<Snapshot>> Records::Page(const Context& ctx, std::string_view after,
                                                    size_t limit) const {
  RETURN_IF_ERROR(ctx.Check());
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  std::vector<Snapshot> page;
  RETURN_IF_ERROR(table_.ForEach(
      txn.view(), ctx.ns, after, [&](const Snapshot& snapshot) -> absl::StatusOr<db::Scan> {
        page.push_back(snapshot);
        return page.size() == limit ? db::Scan::kStop : db::Scan::kContinue;
      }));
  return page;
}

absl::StatusOr<std::vector<Intent>> Records::Intents() const {
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  std::vector<Intent> intents;
  RETURN_IF_ERROR(snapshots::ForEachIntent(txn.view(), snapshotter(),
                                           [&](std::string_view, const Intent& intent) {
                                             intents.push_back(intent);
                                             return absl::OkStatus();
                                           }));
  return intents;
}

absl::Status Records::CheckLease(metadata::WriteTxn& txn, const Context& ctx) const {
  if (ctx.lease.empty()) return absl::OkStatus();
  RETURN_IF_ERROR(db::CheckComponent("lease id", ctx.lease));
  ASSIGN_OR_RETURN(const bool known, txn.Has(TableId::kLeases, db::JoinKey({ctx.ns, ctx.lease})));
  return known ? absl::OkStatus() : NotFound("lease does not exist: \"{}\"", ctx.lease);
}

absl::StatusOr<Records::Step> Records::BeginCreate(const Context& ctx,
                                                   const PrepareRequest& request) {
  Step step{.intent = {.action = Intent::Action::kCreate,
                       .ns = ctx.ns,
                       .key = request.key,
                       .parent = request.parent,
                       .labels = request.labels,
                       .lease = ctx.lease}};
  ASSIGN_OR_RETURN(
      const std::optional<std::string> existing,
      metadata_.Write(ctx,
                      [&](metadata::WriteTxn& txn) -> absl::StatusOr<std::optional<std::string>> {
                        ASSIGN_OR_RETURN(std::optional<std::string> found,
                                         table_.FindExisting(txn.view(), ctx.ns, request));
                        if (found) {
                          RETURN_IF_ERROR(table_.Lease(txn, ctx, *found));
                          return found;
                        }
                        RETURN_IF_ERROR(CheckLease(txn, ctx));
                        if (!request.parent.empty()) {
                          ASSIGN_OR_RETURN(const Snapshot parent,
                                           table_.GetParent(txn.view(), ctx.ns, request.parent));
                          step.backend_parent = parent.backend_key;
                        }
                        ASSIGN_OR_RETURN(step.intent.backend_key,
                                         table_.NextBackendKey(txn, ctx.ns, request.key));
                        step.intent.created_at = txn.now();
                        RETURN_IF_ERROR(snapshots::PutIntent(txn, snapshotter(), step.intent));
                        return found;
                      }));
  if (existing) return ExistsError(*existing);
  return step;
}

absl::Status Records::CheckParent(metadata::WriteTxn& txn, const Step& step) const {
  const Intent& intent = step.intent;
  if (intent.parent.empty()) return absl::OkStatus();
  ASSIGN_OR_RETURN(const Snapshot parent, table_.GetParent(txn.view(), intent.ns, intent.parent));
  if (parent.backend_key == step.backend_parent) return absl::OkStatus();
  return InvalidArgument("mismatched parent {}: it was replaced", intent.parent);
}

absl::Status Records::RecordCreated(const Context& ctx, const Step& step, Kind kind) {
  const Intent& intent = step.intent;
  const PrepareRequest request{.key = intent.key, .labels = intent.labels};
  ASSIGN_OR_RETURN(
      const std::optional<std::string> existing,
      metadata_.Write(ctx,
                      [&](metadata::WriteTxn& txn) -> absl::StatusOr<std::optional<std::string>> {
                        ASSIGN_OR_RETURN(std::optional<std::string> found,
                                         table_.FindExisting(txn.view(), ctx.ns, request));
                        if (found) {
                          RETURN_IF_ERROR(table_.Lease(txn, ctx, *found));
                          return found;
                        }
                        RETURN_IF_ERROR(CheckParent(txn, step));
                        const absl::Time now = txn.now();
                        RETURN_IF_ERROR(table_.Lease(txn, ctx, intent.key));
                        RETURN_IF_ERROR(table_.Insert(txn, ctx.ns,
                                                      {.info = {.name = intent.key,
                                                                .parent = intent.parent,
                                                                .kind = kind,
                                                                .labels = intent.labels,
                                                                .created_at = now,
                                                                .updated_at = now},
                                                       .backend_key = intent.backend_key}));
                        RETURN_IF_ERROR(snapshots::DeleteIntent(txn, snapshotter(), intent));
                        return found;
                      }));
  return existing ? ExistsError(*existing) : absl::OkStatus();
}

absl::Status Records::RecordAdopted(const Context& ctx, const Step& step, const Info& found) {
  const Intent& intent = step.intent;
  const std::string target(snapshots::TargetOf(intent.labels));
  Snapshot adopted{.info = {.name = target,
                            .parent = intent.parent,
                            .kind = Kind::kCommitted,
                            .labels = intent.labels,
                            .created_at = found.created_at,
                            .updated_at = found.updated_at},
                   .backend_key = found.name};
  adopted.info.labels.insert(found.labels.begin(), found.labels.end());  // The client's own win.
  RETURN_IF_ERROR(metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    RETURN_IF_ERROR(table_.Lease(txn, ctx, target));
    ASSIGN_OR_RETURN(const std::optional<Snapshot> existing,
                     table_.Find(txn.view(), ctx.ns, target));
    if (!existing) {
      RETURN_IF_ERROR(CheckParent(txn, step));
      RETURN_IF_ERROR(table_.Insert(txn, ctx.ns, adopted));
      RETURN_IF_ERROR(table_.RemoveTrash(txn, adopted.backend_key));
    }
    return snapshots::DeleteIntent(txn, snapshotter(), intent);
  }));
  return AlreadyExists("target snapshot {:?} from snapshotter", target);
}

absl::StatusOr<Records::Step> Records::BeginCommit(const Context& ctx,
                                                   const CommitRequest& request) {
  Step step{.intent = {.action = Intent::Action::kCommit,
                       .ns = ctx.ns,
                       .key = request.key,
                       .name = request.name,
                       .labels = request.labels,
                       .lease = ctx.lease}};
  ASSIGN_OR_RETURN(
      const bool exists, metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<bool> {
        ASSIGN_OR_RETURN(const std::optional<Snapshot> existing,
                         table_.Find(txn.view(), ctx.ns, request.name));
        if (existing) {
          RETURN_IF_ERROR(table_.Lease(txn, ctx, request.name));
          return true;
        }
        RETURN_IF_ERROR(CheckLease(txn, ctx));
        ASSIGN_OR_RETURN(const Snapshot active, table_.Get(txn.view(), ctx.ns, request.key));
        if (active.info.kind != Kind::kActive)
          return FailedPrecondition("snapshot {} is not active", request.key);
        // Whether it can rebase, the other process says itself.
        ASSIGN_OR_RETURN(step.intent.parent,
                         table_.ParentAfterCommit(txn.view(), ctx.ns, request, active, true));
        if (step.intent.parent != active.info.parent) {
          ASSIGN_OR_RETURN(const Snapshot parent,
                           table_.GetParent(txn.view(), ctx.ns, step.intent.parent));
          step.backend_parent = parent.backend_key;
        }
        step.intent.backend_key = active.backend_key;
        ASSIGN_OR_RETURN(step.intent.backend_name,
                         table_.NextBackendKey(txn, ctx.ns, request.name));
        step.intent.created_at = txn.now();
        RETURN_IF_ERROR(snapshots::PutIntent(txn, snapshotter(), step.intent));
        return false;
      }));
  if (exists) return ExistsError(request.name);
  return step;
}

absl::Status Records::RecordCommitted(const Context& caller, const Intent& intent, bool late) {
  ASSIGN_OR_RETURN(const bool active_found,
                   metadata_.Write(caller, [&](metadata::WriteTxn& txn) -> absl::StatusOr<bool> {
                     ASSIGN_OR_RETURN(const bool open,
                                      snapshots::HasIntent(txn.view(), snapshotter(), intent));
                     if (!open) return true;
                     RETURN_IF_ERROR(snapshots::DeleteIntent(txn, snapshotter(), intent));
                     ASSIGN_OR_RETURN(const std::optional<Snapshot> active,
                                      table_.Find(txn.view(), intent.ns, intent.key));
                     if (!active || active->backend_key != intent.backend_key) {
                       txn.MarkSnapshotterDirty(snapshotter());
                       RETURN_IF_ERROR(table_.AddTrash(txn, intent.backend_name));
                       return false;
                     }
                     Context ctx{.ns = intent.ns, .lease = intent.lease};
                     if (late && !CheckLease(txn, ctx).ok()) ctx.lease.clear();
                     const absl::Time now = txn.now();
                     RETURN_IF_ERROR(table_.Erase(txn, intent.ns, *active));
                     RETURN_IF_ERROR(table_.Unlease(txn, ctx, intent.key));
                     RETURN_IF_ERROR(table_.Lease(txn, ctx, intent.name));
                     RETURN_IF_ERROR(table_.Insert(txn, intent.ns,
                                                   {.info = {.name = intent.name,
                                                             .parent = intent.parent,
                                                             .kind = Kind::kCommitted,
                                                             .labels = intent.labels,
                                                             .created_at = now,
                                                             .updated_at = now},
                                                    .backend_key = intent.backend_name}));
                     return true;
                   }));
  return active_found ? absl::OkStatus()
                      : NotFound("snapshot {} was removed while it was committed", intent.key);
}

absl::StatusOr<std::string> Records::BackendParent(const Intent& intent) const {
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(const std::optional<Snapshot> active,
                   table_.Find(txn.view(), intent.ns, intent.key));
  if (intent.parent.empty() || (active && active->info.parent == intent.parent)) return "";
  ASSIGN_OR_RETURN(const Snapshot parent, table_.GetParent(txn.view(), intent.ns, intent.parent));
  return parent.backend_key;
}

absl::Status Records::Drop(const Intent& intent) {
  return metadata_.Write({}, [&](metadata::WriteTxn& txn) {
    return snapshots::DeleteIntent(txn, snapshotter(), intent);
  });
}

absl::StatusOr<Snapshot> Records::PlanUpdate(const Context& ctx, const Info& wanted,
                                             const metadata::FieldMask& mask) const {
  ASSIGN_OR_RETURN(Snapshot snapshot, Get(ctx, wanted.name));
  RETURN_IF_ERROR(metadata::ApplyLabelsOnly(mask, fmt::format("snapshot {:?}", wanted.name),
                                            wanted.labels, snapshot.info.labels));
  return snapshot;
}

absl::StatusOr<Snapshot> Records::Update(const Context& ctx, const Info& wanted,
                                         const metadata::FieldMask& mask) {
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Snapshot> {
    ASSIGN_OR_RETURN(Snapshot snapshot, table_.Get(txn.view(), ctx.ns, wanted.name));
    RETURN_IF_ERROR(metadata::ApplyLabelsOnly(mask, fmt::format("snapshot {:?}", wanted.name),
                                              wanted.labels, snapshot.info.labels));
    snapshot.info.updated_at = txn.now();
    RETURN_IF_ERROR(table_.Update(txn, ctx.ns, snapshot));
    return snapshot;
  });
}

absl::Status Records::Remove(const Context& ctx, std::string_view key) {
  return metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const Snapshot snapshot, table_.Get(txn.view(), ctx.ns, key));
    ASSIGN_OR_RETURN(const bool parent, table_.HasChildren(txn.view(), ctx.ns, key));
    if (parent) return FailedPrecondition("cannot remove snapshot with child");
    RETURN_IF_ERROR(table_.Discard(txn, ctx.ns, snapshot));
    return table_.Unlease(txn, ctx, key);
  });
}

absl::StatusOr<std::vector<std::string>> Records::Trash() const {
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  ASSIGN_OR_RETURN(std::vector<std::string> trash, table_.Trash(txn.view(), {}, 0));
  // A child is made after its parent, so it has the higher number.
  std::ranges::stable_sort(trash, std::greater(), NumberOf);
  return trash;
}

absl::StatusOr<bool> Records::IsTrash(std::string_view backend_key) const {
  ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
  return txn.Has(TableId::kSnapshotTrash, db::JoinKey({snapshotter(), backend_key}));
}

absl::Status Records::RemoveTrash(const std::vector<std::string>& backend_keys) {
  return metadata_.Write({}, [&](metadata::WriteTxn& txn) -> absl::Status {
    for (const std::string& key : backend_keys) RETURN_IF_ERROR(table_.RemoveTrash(txn, key));
    return absl::OkStatus();
  });
}

}  // namespace gantry::proxy
