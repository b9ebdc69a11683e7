// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/base/context.h"
#include "core/base/status.h"
#include "core/metadata/field_mask.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/intent.h"
#include "core/snapshots/snapshot_table.h"

namespace gantry::proxy {

// What stands in the database of one proxy snapshotter, in steps that are each one transaction: an
// intent before the other process is asked, its outcome after.
//
// Threads: all methods from any thread; they block on the disk.
class Records {
 public:
  Records(metadata::Metadata& metadata, std::string snapshotter)
      : metadata_(metadata), table_(std::move(snapshotter)) {}

  const std::string& snapshotter() const { return table_.snapshotter(); }

  absl::StatusOr<snapshots::Snapshot> Get(const Context& ctx, std::string_view key) const;
  // At most `limit` of them, behind `after`.
  absl::StatusOr<std::vector<snapshots::Snapshot>> Page(const Context& ctx, std::string_view after,
                                                        size_t limit) const;
  absl::StatusOr<std::vector<snapshots::Intent>> Intents() const;

  // A step that may go on: the other process is to be asked for it.
  struct Step {
    snapshots::Intent intent;
    std::string backend_parent;  // of a creation, or the new one of a commit
  };

  // Reserves a backend key. AlreadyExists for a key or target that exists, which is then leased.
  absl::StatusOr<Step> BeginCreate(const Context& ctx, const snapshots::PrepareRequest& request);
  // Records what was made. On an error the intent stays, so that what was made is removed:
  // AlreadyExists when another call was faster (its snapshot is leased), NotFound or
  // InvalidArgument when the parent went or was replaced.
  absl::Status RecordCreated(const Context& ctx, const Step& step, snapshots::Kind kind);
  // Records a snapshot that the other process provides for the target, in place of the one that was
  // to be made. AlreadyExists when that went well, for that is what the caller hears.
  absl::Status RecordAdopted(const Context& ctx, const Step& step, const snapshots::Info& found);

  // AlreadyExists for a name that exists, which is then leased.
  absl::StatusOr<Step> BeginCommit(const Context& ctx, const snapshots::CommitRequest& request);
  // Records that the other process has committed. With `late`, nobody waits any more and a lease
  // that is gone does not matter. NotFound when the active snapshot went meanwhile: then what was
  // committed is noted for removal. Nothing to do for an intent that is gone.
  absl::Status RecordCommitted(const Context& ctx, const snapshots::Intent& intent, bool late);

  // The backend key of the parent that a commit gives its snapshot; empty if it gives none.
  absl::StatusOr<std::string> BackendParent(const snapshots::Intent& intent) const;

  // The step did not happen.
  absl::Status Drop(const snapshots::Intent& intent);

  // The snapshot with the labels changed, as Update() will store it.
  absl::StatusOr<snapshots::Snapshot> PlanUpdate(const Context& ctx, const snapshots::Info& wanted,
                                                 const metadata::FieldMask& mask) const;
  absl::StatusOr<snapshots::Snapshot> Update(const Context& ctx, const snapshots::Info& wanted,
                                             const metadata::FieldMask& mask);
  absl::Status Remove(const Context& ctx, std::string_view key);

  // Backend keys of what is to be removed, children before parents as far as their numbers tell.
  absl::StatusOr<std::vector<std::string>> Trash() const;
  absl::StatusOr<bool> IsTrash(std::string_view backend_key) const;
  absl::Status RemoveTrash(const std::vector<std::string>& backend_keys);

 private:
  absl::Status CheckLease(metadata::WriteTxn& txn, const Context& ctx) const;
  absl::Status CheckParent(metadata::WriteTxn& txn, const Step& step) const;

  metadata::Metadata& metadata_;
  const snapshots::SnapshotTable table_;
};

}  // namespace gantry::proxy
