// SPDX-License-Identifier: Apache-2.0
#include "core/runtime/cgroup_metrics.h"

#include <array>

#include "core/kernel/cgroup.h"
#include "core/runtime/cgroup_files.h"
#include "proto/cgroups/v1/metrics.pb.h"
#include "proto/cgroups/v2/metrics.pb.h"

namespace gantry::runtime {
namespace {

constexpr std::array<std::string_view, 7> kControllers = {"pids",  "cpu",     "cpuacct", "memory",
                                                          "blkio", "hugetlb", "rdma"};

google::protobuf::Any Pack(const google::protobuf::Message& message) {
  google::protobuf::Any any;
  any.set_type_url(message.GetDescriptor()->full_name());
  any.set_value(message.SerializeAsString());
  return any;
}

}  // namespace

const std::string& CgroupPlace::Of(std::string_view controller) const {
  static const std::string none;
  const auto found = controllers.find(controller);
  return found == controllers.end() ? none : found->second;
}

absl::StatusOr<CgroupPlace> FindCgroup(pid_t pid) {
  const auto mode = kernel::DetectCgroupMode();
  if (!mode) return NotFound("cgroup does not exist: {}", mode.error().Text());
  const auto memberships = kernel::CgroupsOf(pid);
  if (!memberships) return NotFound("cgroup does not exist: {}", memberships.error().Text());
  CgroupPlace place{.unified = *mode == kernel::CgroupMode::kUnified};
  if (place.unified) {
    auto directory = kernel::CgroupDirectory(*mode, *memberships, "");
    if (!directory) return NotFound("cgroup of process {} does not exist", pid);
    place.directory = *std::move(directory);
    return place;
  }
  for (const std::string_view controller : kControllers) {
    auto directory = kernel::CgroupDirectory(*mode, *memberships, controller);
    if (directory) place.controllers.emplace(controller, *std::move(directory));
  }
  if (place.controllers.empty()) return NotFound("cgroup of process {} does not exist", pid);
  return place;
}

absl::StatusOr<google::protobuf::Any> ReadCgroupMetrics(const CgroupPlace& place) {
  const std::string& any = place.unified ? place.directory : place.controllers.begin()->second;
  if (!CgroupFileExists(any, "cgroup.procs")) return NotFound("cgroup does not exist");
  return place.unified ? Pack(ReadCgroupV2(place.directory)) : Pack(ReadCgroupV1(place));
}

}  // namespace gantry::runtime
