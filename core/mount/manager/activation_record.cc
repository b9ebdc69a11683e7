// SPDX-License-Identifier: Apache-2.0
#include "core/mount/manager/activation_record.h"

#include "core/metadata/record.h"
#include "proto/gantry/metadata/v1/records.pb.h"

namespace gantry::mount {
namespace {

namespace pb = ::gantry::metadata::v1;

void ToRecord(const Mount& mount, pb::MountRecord* out) {
  out->set_type(mount.type);
  out->set_source(mount.source);
  out->set_target(mount.target);
  out->mutable_options()->Assign(mount.options.begin(), mount.options.end());
}

Mount FromRecord(const pb::MountRecord& record) {
  return {.type = record.type(),
          .source = record.source(),
          .target = record.target(),
          .options = {record.options().begin(), record.options().end()}};
}

}  // namespace

std::string EncodeActivation(const ActivationRecord& record) {
  pb::ActivationRecord out;
  out.set_id(record.id);
  out.set_complete(record.complete);
  out.set_lease(record.lease);
  for (const ActiveMount& active : record.info.active) {
    pb::ActiveMountRecord* made = out.add_active();
    ToRecord(active.mount, made->mutable_mount());
    made->set_mount_point(active.mount_point);
    *made->mutable_mounted_at() = metadata::ToProto(active.mounted_at);
    for (const auto& [key, value] : active.data) (*made->mutable_data())[key] = value;
  }
  for (const Mount& mount : record.info.system) ToRecord(mount, out.add_system());
  metadata::ToProto(record.info.labels, out.mutable_labels());
  *out.mutable_created_at() = metadata::ToProto(record.created_at);
  *out.mutable_updated_at() = metadata::ToProto(record.updated_at);
  return out.SerializeAsString();
}

absl::StatusOr<ActivationRecord> DecodeActivation(std::string_view ns, std::string_view name,
                                                  std::string_view bytes) {
  ASSIGN_OR_RETURN(const pb::ActivationRecord in, metadata::Decode<pb::ActivationRecord>(bytes));
  ActivationRecord record{.ns = std::string(ns),
                          .id = in.id(),
                          .complete = in.complete(),
                          .lease = in.lease(),
                          .created_at = metadata::FromProto(in.created_at()),
                          .updated_at = metadata::FromProto(in.updated_at()),
                          .info = {}};
  record.info.name = name;
  record.info.labels = metadata::FromProto(in.labels());
  for (const pb::ActiveMountRecord& made : in.active()) {
    record.info.active.push_back({.mount = FromRecord(made.mount()),
                                  .mount_point = made.mount_point(),
                                  .mounted_at = metadata::FromProto(made.mounted_at()),
                                  .data = {made.data().begin(), made.data().end()}});
  }
  for (const pb::MountRecord& mount : in.system()) record.info.system.push_back(FromRecord(mount));
  return record;
}

}  // namespace gantry::mount
