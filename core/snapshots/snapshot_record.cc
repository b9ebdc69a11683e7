// SPDX-License-Identifier: Apache-2.0
#include "core/snapshots/snapshot_record.h"

#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::snapshots {
namespace {

namespace pb = ::gantry::metadata::v1;
using Record = pb::SnapshotRecord;

absl::StatusOr<Kind> KindFromProto(pb::SnapshotKind kind) {
  switch (kind) {
    case pb::SNAPSHOT_KIND_VIEW:
      return Kind::kView;
    case pb::SNAPSHOT_KIND_ACTIVE:
      return Kind::kActive;
    case pb::SNAPSHOT_KIND_COMMITTED:
      return Kind::kCommitted;
    default:
      return DataLoss("stored snapshot has kind {}", static_cast<int>(kind));
  }
}

}  // namespace

std::string EncodeSnapshot(const Snapshot& snapshot) {
  Record record;
  metadata::ToProto(snapshot.info.labels, record.mutable_labels());
  record.set_parent(snapshot.info.parent);
  record.set_backend_key(snapshot.backend_key);
  record.set_kind(static_cast<pb::SnapshotKind>(snapshot.info.kind));  // The same numbers.
  *record.mutable_created_at() = metadata::ToProto(snapshot.info.created_at);
  *record.mutable_updated_at() = metadata::ToProto(snapshot.info.updated_at);
  record.set_local_id(snapshot.local_id);
  record.set_usage_size(snapshot.usage.size_bytes);
  record.set_usage_inodes(snapshot.usage.inodes);
  return record.SerializeAsString();
}

absl::StatusOr<Snapshot> DecodeSnapshot(std::string_view name, std::string_view bytes) {
  ASSIGN_OR_RETURN(const Record record, metadata::Decode<Record>(bytes));
  ASSIGN_OR_RETURN(const Kind kind, KindFromProto(record.kind()));
  return Snapshot{.info = {.name = std::string(name),
                           .parent = record.parent(),
                           .kind = kind,
                           .labels = metadata::FromProto(record.labels()),
                           .created_at = metadata::FromProto(record.created_at()),
                           .updated_at = metadata::FromProto(record.updated_at())},
                  .backend_key = record.backend_key(),
                  .local_id = record.local_id(),
                  .usage = {.size_bytes = record.usage_size(), .inodes = record.usage_inodes()}};
}

}  // namespace gantry::snapshots
