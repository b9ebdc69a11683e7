// SPDX-License-Identifier: Apache-2.0
#include "services/sandboxes/convert.h"

#include "core/metadata/record.h"

namespace gantry::sandbox {
namespace {

namespace pb = ::containerd::services::sandbox::v1;

constexpr int64_t kGoZeroSeconds = -62135596800;  // 0001-01-01T00:00:00Z

}  // namespace

google::protobuf::Timestamp TimeToProto(absl::Time time) {
  if (time != absl::InfinitePast()) return metadata::ToProto(time);
  google::protobuf::Timestamp zero;
  zero.set_seconds(kGoZeroSeconds);
  return zero;
}

CreateOptions FromProto(const pb::ControllerCreateRequest& request) {
  CreateOptions options{
      .netns_path = request.netns_path(),
      .annotations = {request.annotations().begin(), request.annotations().end()}};
  if (request.has_options()) options.options = request.options();
  for (const auto& mount : request.rootfs()) {
    options.rootfs.push_back({.type = mount.type(),
                              .source = mount.source(),
                              .target = mount.target(),
                              .options = {mount.options().begin(), mount.options().end()}});
  }
  return options;
}

pb::ControllerStartResponse ToProto(const std::string& id, const Started& started) {
  pb::ControllerStartResponse response;
  response.set_sandbox_id(id);
  response.set_pid(started.pid);
  *response.mutable_created_at() = TimeToProto(started.created_at);
  response.mutable_labels()->insert(started.labels.begin(), started.labels.end());
  response.set_address(started.address);
  response.set_version(started.version);
  if (started.spec) *response.mutable_spec() = *started.spec;
  return response;
}

pb::ControllerStatusResponse ToProto(const std::string& id, const SandboxStatus& status) {
  pb::ControllerStatusResponse response;
  response.set_sandbox_id(id);
  response.set_pid(status.pid);
  response.set_state(status.state);
  response.mutable_info()->insert(status.info.begin(), status.info.end());
  *response.mutable_created_at() = TimeToProto(status.created_at);
  *response.mutable_exited_at() = TimeToProto(status.exited_at);
  if (status.extra) *response.mutable_extra() = *status.extra;
  response.set_address(status.address);
  response.set_version(status.version);
  return response;
}

}  // namespace gantry::sandbox
