// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "absl/functional/function_ref.h"
#include "core/base/context.h"
#include "core/base/status.h"
#include "core/db/txn.h"
#include "core/metadata/metadata.h"
#include "core/snapshots/snapshot_record.h"

namespace gantry::snapshots {

// The stored snapshots of one snapshotter, inside a transaction: records, links from parents to
// children, owners of backend keys, lease entries. Whatever creates or refers also tells the
// collector.
//
// Threads: any; the transaction decides.
class SnapshotTable {
 public:
  explicit SnapshotTable(std::string snapshotter) : snapshotter_(std::move(snapshotter)) {}

  const std::string& snapshotter() const { return snapshotter_; }

  absl::StatusOr<std::optional<Snapshot>> Find(const metadata::View& view, std::string_view ns,
                                               std::string_view key) const;
  // NotFound instead of nothing.
  absl::StatusOr<Snapshot> Get(const metadata::View& view, std::string_view ns,
                               std::string_view key) const;
  absl::StatusOr<bool> HasChildren(const metadata::View& view, std::string_view ns,
                                   std::string_view key) const;
  // The snapshot that others may stand on. NotFound, or InvalidArgument for one that is not
  // committed.
  absl::StatusOr<Snapshot> GetParent(const metadata::View& view, std::string_view ns,
                                     std::string_view parent) const;
  // Local ids from `parent` down to the base; none for an empty `parent`.
  absl::StatusOr<std::vector<uint64_t>> LocalChain(const metadata::View& view, std::string_view ns,
                                                   std::string_view parent) const;
  // The key of what makes a new snapshot superfluous: its target (kTargetLabel), or one under its
  // key.
  absl::StatusOr<std::optional<std::string>> FindExisting(const metadata::View& view,
                                                          std::string_view ns,
                                                          const PrepareRequest& request) const;
  // The parent that `active` has once it is committed. NotFound and FailedPrecondition for a new
  // parent that is absent or not committed; InvalidArgument if it has another; Unimplemented if it
  // would get one and the snapshotter cannot rebase.
  absl::StatusOr<std::string> ParentAfterCommit(const metadata::View& view, std::string_view ns,
                                                const CommitRequest& request,
                                                const Snapshot& active, bool can_rebase) const;
  // Calls `row` with the snapshots behind `after`, in key order.
  absl::Status ForEach(
      const metadata::View& view, std::string_view ns, std::string_view after,
      absl::FunctionRef<absl::StatusOr<db::Scan>(const Snapshot& snapshot)> row) const;

  // A backend key that was never given out: "<ns>/<n>/<key>".
  absl::StatusOr<std::string> NextBackendKey(metadata::WriteTxn& txn, std::string_view ns,
                                             std::string_view key) const;
  absl::Status Insert(metadata::WriteTxn& txn, std::string_view ns, const Snapshot& snapshot) const;
  // Of a snapshot whose labels or times changed.
  absl::Status Update(metadata::WriteTxn& txn, std::string_view ns, const Snapshot& snapshot) const;
  // Forgets it; what it leaves behind is another step.
  absl::Status Erase(metadata::WriteTxn& txn, std::string_view ns, const Snapshot& snapshot) const;
  // Forgets it and records what is to be freed.
  absl::Status Discard(metadata::WriteTxn& txn, std::string_view ns,
                       const Snapshot& snapshot) const;

  absl::Status Lease(metadata::WriteTxn& txn, const Context& ctx, std::string_view key) const;
  absl::Status Unlease(metadata::WriteTxn& txn, const Context& ctx, std::string_view key) const;

  // What is to be freed, by local id (decimal) or backend key.
  absl::Status AddTrash(metadata::WriteTxn& txn, std::string_view what) const;
  absl::Status RemoveTrash(metadata::WriteTxn& txn, std::string_view what) const;
  absl::StatusOr<std::vector<std::string>> Trash(const metadata::View& view, std::string_view after,
                                                 size_t limit) const;

 private:
  std::string Key(std::string_view ns, std::string_view key) const;
  std::string ChildKey(std::string_view ns, std::string_view parent, std::string_view key) const;

  const std::string snapshotter_;
};

// InvalidArgument for an empty key or one with a NUL; `what` names it.
absl::Status CheckKey(std::string_view what, std::string_view key);

// Check keys and labels, and drop labels without value.
absl::Status CheckRequest(PrepareRequest& request);
absl::Status CheckRequest(CommitRequest& request);

// The value of kTargetLabel; empty if there is none.
std::string_view TargetOf(const Labels& labels);

}  // namespace gantry::snapshots
