// SPDX-License-Identifier: Apache-2.0
// What the kernel is told about this process.
#pragma once

#include <sys/resource.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace gantry::process {

// How gladly the kernel kills this process when memory runs out: -1000 (never) to 1000.
absl::Status SetOomScore(int score);

// Moves this process into the cgroup `path` below `mount`, in every hierarchy; the cgroup is made
// if there is none.
absl::Status JoinCgroup(const std::string& path, const std::string& mount = "/sys/fs/cgroup");

// Raises how many files this process may have open as far as it can itself. Gives what it was
// before, which is what shims get: not every program can deal with high numbers.
absl::StatusOr<rlimit> RaiseOpenFiles();

}  // namespace gantry::process
