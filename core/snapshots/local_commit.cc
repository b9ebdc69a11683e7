// SPDX-License-Identifier: Apache-2.0
// Commit and Remove, and the directories that they leave behind.
#include <utility>

#include "core/log/log.h"
#include "core/snapshots/announce.h"
#include "core/snapshots/local_snapshotter.h"

namespace gantry::snapshots {

absl::Status LocalSnapshotter::CommitNow(const Context& ctx, CommitRequest request) {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(CheckRequest(request));

  ASSIGN_OR_RETURN(const Layer layer, CheckCommit(ctx, request));
  // Outside the transaction: flushing and measuring take as long as the layer is large.
  RETURN_IF_ERROR(driver_->Publish(layer.id));
  ASSIGN_OR_RETURN(const Usage usage, driver_->Freeze(ctx, layer, options_.durable_commit));
  RETURN_IF_ERROR(RecordCommit(ctx, request, layer, usage));
  return AnnounceCommit(publisher_, ctx, name(), request.key, request.name);
}

absl::StatusOr<Layer> LocalSnapshotter::CheckCommit(const Context& ctx,
                                                    const CommitRequest& request) {
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(const std::optional<Snapshot> existing,
                     table_.Find(txn.view(), ctx.ns, request.name));
    if (!existing) {
      ASSIGN_OR_RETURN(Snapshot active, table_.Get(txn.view(), ctx.ns, request.key));
      if (active.info.kind != Kind::kActive)
        return FailedPrecondition("snapshot {} is not active", request.key);
      ASSIGN_OR_RETURN(active.info.parent, table_.ParentAfterCommit(txn.view(), ctx.ns, request,
                                                                    active, driver_->can_rebase()));
      return LayerOf(txn.view(), ctx.ns, active);
    }
  }
  return AnswerExisting(ctx, request.name);
}

absl::Status LocalSnapshotter::RecordCommit(const Context& ctx, const CommitRequest& request,
                                            const Layer& layer, const Usage& usage) {
  ASSIGN_OR_RETURN(
      const bool recorded,
      metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<bool> {
        RETURN_IF_ERROR(table_.Lease(txn, ctx, request.name));
        ASSIGN_OR_RETURN(const std::optional<Snapshot> existing,
                         table_.Find(txn.view(), ctx.ns, request.name));
        if (existing) return false;
        ASSIGN_OR_RETURN(const Snapshot active, table_.Get(txn.view(), ctx.ns, request.key));
        if (active.local_id != layer.id)
          return Unavailable("snapshot {} was replaced meanwhile", request.key);
        Snapshot committed{.info = {.name = request.name,
                                    .kind = Kind::kCommitted,
                                    .labels = request.labels,
                                    .created_at = txn.now()},
                           .local_id = active.local_id,
                           .usage = usage};
        committed.info.updated_at = committed.info.created_at;
        ASSIGN_OR_RETURN(
            committed.info.parent,
            table_.ParentAfterCommit(txn.view(), ctx.ns, request, active, driver_->can_rebase()));
        ASSIGN_OR_RETURN(committed.backend_key, table_.NextBackendKey(txn, ctx.ns, request.name));
        RETURN_IF_ERROR(table_.Erase(txn, ctx.ns, active));
        RETURN_IF_ERROR(table_.Unlease(txn, ctx, request.key));
        RETURN_IF_ERROR(table_.Insert(txn, ctx.ns, committed));
        return true;
      }));
  return recorded ? absl::OkStatus() : AlreadyExists("snapshot {}", request.name);
}

absl::Status LocalSnapshotter::RemoveNow(const Context& ctx, std::string_view key) {
  RETURN_IF_ERROR(CheckKey("snapshot key", key));
  ASSIGN_OR_RETURN(const Snapshot removed,
                   metadata_.Write(ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<Snapshot> {
                     ASSIGN_OR_RETURN(Snapshot snapshot, table_.Get(txn.view(), ctx.ns, key));
                     ASSIGN_OR_RETURN(const bool parent,
                                      table_.HasChildren(txn.view(), ctx.ns, key));
                     if (parent) return FailedPrecondition("cannot remove snapshot with child");
                     RETURN_IF_ERROR(table_.Discard(txn, ctx.ns, snapshot));
                     RETURN_IF_ERROR(table_.Unlease(txn, ctx, key));
                     return snapshot;
                   }));
  if (options_.sync_remove) {
    // The snapshot is gone whatever becomes of its directory; the next Cleanup tries again.
    if (const absl::Status freed = DiscardAll(ctx.Detached(), {std::to_string(removed.local_id)});
        !freed.ok()) {
      log::Warn("directory of a removed snapshot stays for now",
                {{"snapshotter", name()}, {"id", removed.local_id}, {"error", freed}});
    }
  }
  return AnnounceRemove(publisher_, ctx, name(), key);
}

absl::Status LocalSnapshotter::CleanupNow(const Context& ctx) {
  constexpr size_t kPage = 128;
  absl::Status first_error;
  std::string after;
  for (;;) {
    std::vector<std::string> trash;
    {
      ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
      ASSIGN_OR_RETURN(trash, table_.Trash(txn.view(), after, kPage));
    }
    if (trash.empty()) return first_error;
    after = trash.back();
    first_error.Update(DiscardAll(ctx, trash));
    RETURN_IF_ERROR(ctx.Check());
  }
}

absl::Status LocalSnapshotter::DiscardAll(const Context& ctx,
                                          const std::vector<std::string>& trash) {
  absl::Status first_error;
  std::vector<std::string> gone;
  for (const std::string& number : trash) {
    if (const absl::Status wanted = ctx.Check(); !wanted.ok()) {
      first_error.Update(wanted);
      break;
    }
    {
      base::MutexLock lock(mutex_);
      if (!discarding_.insert(number).second) continue;  // Another call is at it.
    }
    const std::optional<uint64_t> id = ParseId(number);
    const absl::Status discarded =
        id ? driver_->Discard(ctx, *id) : DataLoss("trash of {} is no number: {}", name(), number);
    if (discarded.ok()) gone.push_back(number);
    first_error.Update(discarded);
    base::MutexLock lock(mutex_);
    discarding_.erase(number);
  }
  if (gone.empty()) return first_error;
  RETURN_IF_ERROR(driver_->SyncNames());
  first_error.Update(metadata_.Write(ctx.Detached(), [&](metadata::WriteTxn& txn) -> absl::Status {
    for (const std::string& number : gone) RETURN_IF_ERROR(table_.RemoveTrash(txn, number));
    return absl::OkStatus();
  }));
  return first_error;
}

}  // namespace gantry::snapshots
