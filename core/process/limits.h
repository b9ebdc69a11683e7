// SPDX-License-Identifier: Apache-2.0
// What the kernel is told about this process.
#pragma once

#include <string>

#include "absl/status/status.h"

namespace gantry::process {

// How gladly the kernel kills this process when memory runs out: -1000 (never) to 1000.
absl::Status SetOomScore(int score);

// Moves this process into the cgroup `path` below `mount`, in every hierarchy; the cgroup is made
// if there is none.
absl::Status JoinCgroup(const std::string& path, const std::string& mount = "/sys/fs/cgroup");

}  // namespace gantry::process
