// SPDX-License-Identifier: Apache-2.0
#include "snapshotters/proxy/convert.h"

#include "core/metadata/record.h"

namespace gantry::proxy {
namespace {

namespace pb = ::containerd::services::snapshots::v1;
using snapshots::Kind;

Kind KindFromProto(pb::Kind kind) {
  if (kind == pb::VIEW) return Kind::kView;
  if (kind == pb::ACTIVE) return Kind::kActive;
  return Kind::kCommitted;
}

}  // namespace

snapshots::Info FromProto(const pb::Info& info) {
  return {.name = info.name(),
          .parent = info.parent(),
          .kind = KindFromProto(info.kind()),
          .labels = metadata::FromProto(info.labels()),
          .created_at = metadata::FromProto(info.created_at()),
          .updated_at = metadata::FromProto(info.updated_at())};
}

mount::Mounts FromProto(
    const google::protobuf::RepeatedPtrField<::containerd::types::Mount>& mounts) {
  mount::Mounts list;
  for (const auto& mount : mounts) {
    list.push_back({.type = mount.type(),
                    .source = mount.source(),
                    .target = mount.target(),
                    .options = {mount.options().begin(), mount.options().end()}});
  }
  return list;
}

}  // namespace gantry::proxy
