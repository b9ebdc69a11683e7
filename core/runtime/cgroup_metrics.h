// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <google/protobuf/any.pb.h>
#include <sys/types.h>

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "core/base/status.h"

namespace io::containerd::cgroups::v1 {
class Metrics;
}
namespace io::containerd::cgroups::v2 {
class Metrics;
}

namespace gantry::runtime {

// Where the files about a process's resources are. Outlives the process.
struct CgroupPlace {
  bool unified = false;   // version 2 alone; hybrid trees count as version 1
  std::string directory;  // of version 2
  // Of version 1, by controller.
  std::map<std::string, std::string, std::less<>> controllers;

  const std::string& Of(std::string_view controller) const;  // empty: the controller is absent
};

// NotFound for a process that is gone.
absl::StatusOr<CgroupPlace> FindCgroup(pid_t pid);

// What the files say, packed as io.containerd.cgroups.v1.Metrics or .v2.Metrics. Missing files
// count as 0. NotFound once the cgroup is gone. Touches the file system, which may take a moment.
absl::StatusOr<google::protobuf::Any> ReadCgroupMetrics(const CgroupPlace& place);

::io::containerd::cgroups::v1::Metrics ReadCgroupV1(const CgroupPlace& place);
::io::containerd::cgroups::v2::Metrics ReadCgroupV2(const std::string& directory);

}  // namespace gantry::runtime
