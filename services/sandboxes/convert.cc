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

Sandbox FromProto(const ::containerd::types::Sandbox& sandbox) {
  Sandbox out{.id = sandbox.sandbox_id(),
              .runtime_name = sandbox.runtime().name(),
              .labels = metadata::FromProto(sandbox.labels()),
              .sandboxer = sandbox.sandboxer()};
  if (sandbox.runtime().has_options()) out.runtime_options = sandbox.runtime().options();
  if (sandbox.has_spec()) out.spec = sandbox.spec();
  out.extensions.insert(sandbox.extensions().begin(), sandbox.extensions().end());
  return out;
}

void ToProto(const Sandbox& sandbox, ::containerd::types::Sandbox* out) {
  out->set_sandbox_id(sandbox.id);
  out->mutable_runtime()->set_name(sandbox.runtime_name);
  if (sandbox.runtime_options)
    *out->mutable_runtime()->mutable_options() = *sandbox.runtime_options;
  if (sandbox.spec) *out->mutable_spec() = *sandbox.spec;
  metadata::ToProto(sandbox.labels, out->mutable_labels());
  *out->mutable_created_at() = metadata::ToProto(sandbox.created_at);
  *out->mutable_updated_at() = metadata::ToProto(sandbox.updated_at);
  for (const auto& [name, value] : sandbox.extensions) (*out->mutable_extensions())[name] = value;
  out->set_sandboxer(sandbox.sandboxer);
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
