// SPDX-License-Identifier: Apache-2.0
#include "cmd/gctr/container/runtime.h"

#include <google/protobuf/any.pb.h>

#include <string>
#include <string_view>

#include "core/base/status.h"
#include "proto/types/runc/options/oci.pb.h"
#include "proto/types/runtimeoptions/v1/api.pb.h"

namespace gantry::gctr {
namespace {

// Runtimes that drive an OCI runtime, and take options for it.
bool TakesRuncOptions(std::string_view runtime) {
  return runtime == "io.containerd.runc.v2" || runtime == "io.containerd.gantry.v2";
}

// Without the prefix "type.googleapis.com/", as containerd's clients write it.
template <typename Message>
void Pack(const Message& message, google::protobuf::Any& any) {
  any.set_type_url(message.GetTypeName());
  any.set_value(message.SerializeAsString());
}

// The host's id of the first mapping: who owns the pipes.
uint32_t FirstHostId(const Json& spec, std::string_view mappings) {
  const Json* linux_section = Member(spec, "linux");
  const Json* list = linux_section == nullptr ? nullptr : Member(*linux_section, mappings);
  if (list == nullptr || !list->is_array() || list->empty()) return 0;
  return static_cast<uint32_t>(IntMember(list->front(), "hostID"));
}

}  // namespace

absl::Status SetRuntime(const ContainerFlags& flags,
                        containerd::services::containers::v1::Container::Runtime& runtime) {
  runtime.set_name(flags.runtime);
  if (TakesRuncOptions(flags.runtime)) {
    containerd::runc::v1::Options options;
    options.set_binary_name(flags.runc_binary);
    options.set_root(flags.runc_root);
    options.set_systemd_cgroup(flags.runc_systemd_cgroup);
    Pack(options, *runtime.mutable_options());
    return absl::OkStatus();
  }
  if (!flags.runc_binary.empty() || flags.runc_systemd_cgroup) {
    return InvalidArgument(
        "specifying runc-binary and runc-systemd-cgroup is only supported for "
        "\"io.containerd.runc.v2\" runtime");
  }
  if (!flags.runtime_config_path.empty()) {
    runtimeoptions::v1::Options options;
    options.set_config_path(flags.runtime_config_path);
    Pack(options, *runtime.mutable_options());
  }
  return absl::OkStatus();
}

absl::Status SetTaskOptions(const containerd::services::containers::v1::Container& container,
                            const Json& spec, bool no_pivot,
                            containerd::services::tasks::v1::CreateTaskRequest& request) {
  const uint32_t uid = FirstHostId(spec, "uidMappings");
  const uint32_t gid = FirstHostId(spec, "gidMappings");
  if (!no_pivot && uid == 0 && gid == 0) return absl::OkStatus();
  containerd::runc::v1::Options options;
  if (!options.ParseFromString(container.runtime().options().value())) {
    return InvalidArgument("container {}: its runtime options are not those of runc",
                           container.id());
  }
  options.set_no_pivot_root(no_pivot);
  options.set_io_uid(uid);
  options.set_io_gid(gid);
  Pack(options, *request.mutable_options());
  return absl::OkStatus();
}

}  // namespace gantry::gctr
