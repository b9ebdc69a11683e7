// SPDX-License-Identifier: Apache-2.0
#include "services/mounts/convert.h"

#include "services/rpc/convert.h"

namespace gantry::mount {
namespace {

void ToProto(const Mount& mount, ::containerd::types::Mount* out) {
  out->set_type(mount.type);
  out->set_source(mount.source);
  out->set_target(mount.target);
  out->mutable_options()->Assign(mount.options.begin(), mount.options.end());
}

}  // namespace

Mounts FromProto(const google::protobuf::RepeatedPtrField<::containerd::types::Mount>& mounts) {
  Mounts out;
  for (const auto& mount : mounts) {
    out.push_back({.type = mount.type(),
                   .source = mount.source(),
                   .target = mount.target(),
                   .options = {mount.options().begin(), mount.options().end()}});
  }
  return out;
}

ActivateOptions OptionsOf(const ::containerd::services::mounts::v1::ActivateRequest& request) {
  return {.labels = rpc::FromProto(request.labels()),
          .temporary = request.temporary(),
          .own_types = {},
          .own_transforms = {}};
}

void ToProto(const ActivationInfo& info, ::containerd::types::ActivationInfo* out) {
  out->set_name(info.name);
  for (const ActiveMount& active : info.active) {
    ::containerd::types::ActiveMount* made = out->add_active();
    ToProto(active.mount, made->mutable_mount());
    *made->mutable_mounted_at() = rpc::ToProto(active.mounted_at);
    made->set_mount_point(active.mount_point);
    made->mutable_data()->insert(active.data.begin(), active.data.end());
  }
  for (const Mount& mount : info.system) ToProto(mount, out->add_system());
  rpc::ToProto(info.labels, out->mutable_labels());
}

}  // namespace gantry::mount
