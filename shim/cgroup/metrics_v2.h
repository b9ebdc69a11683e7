// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "shim/messages/cgroup_v2_metrics.h"

namespace gantry::shim::cgroup {

// The figures of the cgroup at `directory`, children included. What is missing there stays 0, or
// absent where the message has no zero for it (pressure, memory events).
messages::cgroup_v2::Metrics ReadMetricsV2(const std::string& directory,
                                           const std::vector<std::string>& huge_page_sizes);

}  // namespace gantry::shim::cgroup
