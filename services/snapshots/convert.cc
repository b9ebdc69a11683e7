// SPDX-License-Identifier: Apache-2.0
#include "services/snapshots/convert.h"

#include <optional>
#include <string>

#include "services/rpc/convert.h"

namespace gantry::snapshots {
namespace {

namespace pb = ::containerd::services::snapshots::v1;

pb::Kind ToProto(Kind kind) {
  if (kind == Kind::kView) return pb::VIEW;
  return kind == Kind::kActive ? pb::ACTIVE : pb::COMMITTED;
}

}  // namespace

void ToProto(const Info& info, pb::Info* out) {
  out->set_name(info.name);
  out->set_parent(info.parent);
  out->set_kind(ToProto(info.kind));
  *out->mutable_created_at() = rpc::ToProto(info.created_at);
  *out->mutable_updated_at() = rpc::ToProto(info.updated_at);
  rpc::ToProto(info.labels, out->mutable_labels());
}

void ToProto(const mount::Mounts& mounts,
             google::protobuf::RepeatedPtrField<containerd::types::Mount>* out) {
  for (const mount::Mount& mount : mounts) {
    containerd::types::Mount* added = out->Add();
    added->set_type(mount.type);
    added->set_source(mount.source);
    added->set_target(mount.target);
    for (const std::string& option : mount.options) added->add_options(option);
  }
}

bool Matches(const filters::Filter& filter, const Info& info) {
  return filter.Matches([&](filters::FieldPath path) -> std::optional<std::string> {
    if (path[0] == "kind") return std::string(KindName(info.kind));
    if (path[0] == "name") return filters::NonEmpty(info.name);
    if (path[0] == "parent") return info.parent;  // Present even if empty: parent=="" lists bases.
    if (path[0] == "labels") return filters::Lookup(info.labels, path);
    return std::nullopt;
  });
}

}  // namespace gantry::snapshots
