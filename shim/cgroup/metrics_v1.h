// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "shim/messages/cgroup_v1_metrics.h"

namespace gantry::shim::cgroup {

// What the figures of a cgroup on version 1 are read from.
struct SourcesV1 {
  // The cgroup's directory in the hierarchy of a controller; empty where that is not mounted.
  std::function<std::string(std::string_view controller)> directory_of;
  std::vector<std::string> huge_page_sizes;
  std::string partitions;  // /proc/partitions, which names block devices
};

// The parts of controllers that are not mounted are absent, but for that of the CPU; files that are
// missing leave zeros.
messages::cgroup_v1::Metrics ReadMetricsV1(const SourcesV1& sources);

}  // namespace gantry::shim::cgroup
