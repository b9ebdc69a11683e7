// SPDX-License-Identifier: Apache-2.0
// Prepare and View: check, make the directory, record, publish.
#include <utility>

#include "absl/cleanup/cleanup.h"
#include "core/log/log.h"
#include "core/snapshots/announce.h"
#include "core/snapshots/local_snapshotter.h"

namespace gantry::snapshots {

absl::StatusOr<mount::Mounts> LocalSnapshotter::CreateNow(const Context& ctx, Kind kind,
                                                          PrepareRequest request) {
  RETURN_IF_ERROR(ctx.Check());
  RETURN_IF_ERROR(CheckRequest(request));

  Layer layer{.kind = kind, .labels = InheritedLabels(request.labels)};
  ASSIGN_OR_RETURN(layer.parents, CheckCreate(ctx, request));
  ASSIGN_OR_RETURN(layer.id, ids_.Next(ctx));
  absl::Cleanup discard = [&] {
    if (const absl::Status status = driver_->Discard(ctx.Detached(), layer.id); !status.ok()) {
      log::Warn("directory of a failed snapshot stays until the next start",
                {{"snapshotter", name()}, {"id", layer.id}, {"error", status}});
    }
  };
  RETURN_IF_ERROR(MakeDirectory(ctx, request, layer));
  RETURN_IF_ERROR(RecordNew(ctx, request, layer));
  std::move(discard).Cancel();
  RETURN_IF_ERROR(PublishNew(ctx, request, layer));
  if (kind == Kind::kActive)
    RETURN_IF_ERROR(AnnouncePrepare(publisher_, ctx, name(), request.key, request.parent));
  return driver_->MountsOf(layer);
}

absl::StatusOr<std::vector<uint64_t>> LocalSnapshotter::CheckCreate(const Context& ctx,
                                                                    const PrepareRequest& request) {
  std::optional<std::string> existing;
  {
    ASSIGN_OR_RETURN(const auto txn, metadata_.Read());
    ASSIGN_OR_RETURN(existing, table_.FindExisting(txn.view(), ctx.ns, request));
    if (!existing) return table_.LocalChain(txn.view(), ctx.ns, request.parent);
  }
  return AnswerExisting(ctx, *existing);
}

absl::Status LocalSnapshotter::MakeDirectory(const Context& ctx, const PrepareRequest& request,
                                             const Layer& layer) {
  const absl::Status made = driver_->Prepare(ctx, layer);
  if (made.ok()) return made;
  // A parent that was removed meanwhile is the caller's mistake, not the disk's.
  RETURN_IF_ERROR(CheckCreate(ctx, request).status());
  return made;
}

absl::Status LocalSnapshotter::RecordNew(const Context& ctx, const PrepareRequest& request,
                                         const Layer& layer) {
  ASSIGN_OR_RETURN(
      const std::optional<std::string> existing,
      metadata_.Write(
          ctx, [&](metadata::WriteTxn& txn) -> absl::StatusOr<std::optional<std::string>> {
            ASSIGN_OR_RETURN(std::optional<std::string> found,
                             table_.FindExisting(txn.view(), ctx.ns, request));
            if (found) {
              RETURN_IF_ERROR(table_.Lease(txn, ctx, *found));
              return found;
            }
            ASSIGN_OR_RETURN(const std::vector<uint64_t> parents,
                             table_.LocalChain(txn.view(), ctx.ns, request.parent));
            if (parents != layer.parents)
              return InvalidArgument("mismatched parent {}: it was replaced", request.parent);
            Snapshot snapshot{.info = {.name = request.key,
                                       .parent = request.parent,
                                       .kind = layer.kind,
                                       .labels = request.labels,
                                       .created_at = txn.now(),
                                       .updated_at = txn.now()},
                              .local_id = layer.id};
            snapshot.info.updated_at = snapshot.info.created_at;
            ASSIGN_OR_RETURN(snapshot.backend_key, table_.NextBackendKey(txn, ctx.ns, request.key));
            RETURN_IF_ERROR(table_.Lease(txn, ctx, request.key));
            RETURN_IF_ERROR(table_.Insert(txn, ctx.ns, snapshot));
            return found;
          }));
  return existing ? AlreadyExists("snapshot {}", *existing) : absl::OkStatus();
}

absl::Status LocalSnapshotter::PublishNew(const Context& ctx, const PrepareRequest& request,
                                          const Layer& layer) {
  const absl::Status published = driver_->Publish(layer.id);
  if (published.ok()) return published;
  RETURN_IF_ERROR(metadata_.Write(ctx.Detached(), [&](metadata::WriteTxn& txn) -> absl::Status {
    ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot,
                     table_.Find(txn.view(), ctx.ns, request.key));
    if (!snapshot || snapshot->local_id != layer.id) return absl::OkStatus();
    RETURN_IF_ERROR(table_.Unlease(txn, ctx, request.key));
    return table_.Discard(txn, ctx.ns, *snapshot);
  }));
  return published;
}

}  // namespace gantry::snapshots
