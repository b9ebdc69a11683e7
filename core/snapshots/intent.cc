// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/intent.h"

#include "core/db/key.h"
#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::snapshots {
namespace {

using metadata::SnapshotNode;
using metadata::TableId;
using Record = ::gantry::metadata::v1::SnapshotIntentRecord;

constexpr std::string_view kCreate = "create";
constexpr std::string_view kCommit = "commit";

std::string Encode(const Intent& intent) {
  Record record;
  record.set_action(std::string(intent.action == Intent::Action::kCreate ? kCreate : kCommit));
  record.set_ns(intent.ns);
  record.set_key(intent.key);
  record.set_name(intent.name);
  record.set_backend_key(intent.backend_key);
  record.set_backend_name(intent.backend_name);
  record.set_parent(intent.parent);
  metadata::ToProto(intent.labels, record.mutable_labels());
  record.set_lease(intent.lease);
  *record.mutable_created_at() = metadata::ToProto(intent.created_at);
  return record.SerializeAsString();
}

absl::StatusOr<Intent> Decode(std::string_view bytes) {
  ASSIGN_OR_RETURN(const Record record, metadata::Decode<Record>(bytes));
  if (record.action() != kCreate && record.action() != kCommit)
    return DataLoss("stored step at a snapshotter has action {:?}", record.action());
  return Intent{
      .action = record.action() == kCreate ? Intent::Action::kCreate : Intent::Action::kCommit,
      .ns = record.ns(),
      .key = record.key(),
      .name = record.name(),
      .backend_key = record.backend_key(),
      .backend_name = record.backend_name(),
      .parent = record.parent(),
      .labels = metadata::FromProto(record.labels()),
      .lease = record.lease(),
      .created_at = metadata::FromProto(record.created_at())};
}

}  // namespace

absl::Status PutIntent(metadata::WriteTxn& txn, std::string_view snapshotter,
                       const Intent& intent) {
  for (const std::string& key : {intent.key, intent.parent}) {
    if (!key.empty()) txn.Touch(SnapshotNode(intent.ns, snapshotter, key));
  }
  return txn.Put(TableId::kSnapshotIntents, db::JoinKey({snapshotter, intent.id()}),
                 Encode(intent));
}

absl::Status DeleteIntent(metadata::WriteTxn& txn, std::string_view snapshotter,
                          const Intent& intent) {
  return txn.Delete(TableId::kSnapshotIntents, db::JoinKey({snapshotter, intent.id()})).status();
}

absl::StatusOr<bool> HasIntent(const metadata::View& view, std::string_view snapshotter,
                               const Intent& intent) {
  ASSIGN_OR_RETURN(const auto bytes,
                   view.Get(TableId::kSnapshotIntents, db::JoinKey({snapshotter, intent.id()})));
  return bytes.has_value();
}

absl::Status ForEachIntent(
    const metadata::View& view, std::string_view snapshotter,
    absl::FunctionRef<absl::Status(std::string_view snapshotter, const Intent& intent)> visit) {
  const std::string prefix = snapshotter.empty() ? std::string() : db::KeyPrefix({snapshotter});
  return view.txn.ForEach(
      view.table(TableId::kSnapshotIntents), prefix,
      [&](std::string_view key, std::string_view bytes) -> absl::StatusOr<db::Scan> {
        ASSIGN_OR_RETURN(const Intent intent, Decode(bytes));
        RETURN_IF_ERROR(visit(key.substr(0, key.find('\0')), intent));
        return db::Scan::kContinue;
      });
}

}  // namespace gantry::snapshots
