// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/gc.h"

#include <set>
#include <string>
#include <utility>

#include "core/db/key.h"
#include "core/log/log.h"
#include "core/snapshots/announce.h"
#include "core/snapshots/await.h"
#include "core/snapshots/intent.h"
#include "core/snapshots/snapshot_table.h"

namespace gantry::snapshots {
namespace {

using metadata::Node;
using metadata::SnapshotNode;
using metadata::TableId;

constexpr std::string_view kRootLabel = "containerd.io/gc.root";

bool HasRootLabel(const Labels& labels) {
  const auto label = labels.lower_bound(kRootLabel);
  return label != labels.end() && label->first.starts_with(kRootLabel);
}

absl::StatusOr<std::set<Node>> NodesOfIntents(const metadata::View& view) {
  std::set<Node> nodes;
  RETURN_IF_ERROR(ForEachIntent(view, {}, [&](std::string_view snapshotter, const Intent& intent) {
    for (const std::string& key : {intent.key, intent.name, intent.parent}) {
      if (!key.empty()) nodes.insert(SnapshotNode(intent.ns, snapshotter, key));
    }
    return absl::OkStatus();
  }));
  return nodes;
}

gc::Object Describe(Node node, std::string_view snapshotter, const Snapshot& snapshot,
                    const std::set<Node>& reserved) {
  gc::Object object{.node = std::move(node), .labels = snapshot.info.labels};
  object.root = HasRootLabel(object.labels) || reserved.contains(object.node);
  if (!snapshot.info.parent.empty())
    object.keeps.push_back(SnapshotNode(object.node.ns, snapshotter, snapshot.info.parent));
  return object;
}

}  // namespace

absl::Status SnapshotResource::Scan(const metadata::View& view, absl::Time,
                                    absl::FunctionRef<absl::Status(gc::Object)> visit) {
  ASSIGN_OR_RETURN(const std::set<Node> reserved, NodesOfIntents(view));
  return view.txn.ForEach(
      view.table(TableId::kSnapshots), {},
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        const auto parts = db::SplitKey(key);
        if (parts.size() != 3) return DataLoss("snapshot record with a key of another shape");
        ASSIGN_OR_RETURN(const Snapshot snapshot, DecodeSnapshot(parts[2], bytes));
        RETURN_IF_ERROR(visit(
            Describe(SnapshotNode(parts[0], parts[1], parts[2]), parts[1], snapshot, reserved)));
        return db::Scan::kContinue;
      });
}

absl::StatusOr<std::optional<gc::Object>> SnapshotResource::Load(const metadata::View& view,
                                                                 absl::Time, const Node& node) {
  const auto [snapshotter, key] = metadata::SplitSnapshotKey(node.key);
  ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot,
                   SnapshotTable(std::string(snapshotter)).Find(view, node.ns, key));
  if (!snapshot) return std::nullopt;
  ASSIGN_OR_RETURN(const std::set<Node> reserved, NodesOfIntents(view));
  return Describe(node, snapshotter, *snapshot, reserved);
}

absl::Status SnapshotResource::Sweep(metadata::WriteTxn& txn, const Node& node) {
  const auto [snapshotter, key] = metadata::SplitSnapshotKey(node.key);
  const SnapshotTable table{std::string(snapshotter)};
  ASSIGN_OR_RETURN(const std::optional<Snapshot> snapshot, table.Find(txn.view(), node.ns, key));
  return snapshot ? table.Discard(txn, node.ns, *snapshot) : absl::OkStatus();
}

void SnapshotResource::Swept(const std::vector<Node>& nodes) {
  for (const Node& node : nodes) {
    const auto [snapshotter, key] = metadata::SplitSnapshotKey(node.key);
    const absl::Status announced = AnnounceRemove(publisher_, {.ns = node.ns}, snapshotter, key);
    if (!announced.ok()) {
      log::Warn("cannot announce a collected snapshot",
                {{"snapshotter", snapshotter}, {"snapshot", key}, {"error", announced}});
    }
  }
}

absl::Status SnapshotBackend::CleanUp(const Context& ctx) {
  return Await<absl::Status>([&](DoneStatus done) { snapshotter_.Cleanup(ctx, std::move(done)); });
}

}  // namespace gantry::snapshots
