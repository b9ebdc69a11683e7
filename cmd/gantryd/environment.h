// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "absl/status/status.h"
#include "core/config/config.h"

namespace gantry {

// What the daemon needs of the host before its first thread starts: its folders with their modes,
// TMPDIR, the search path, its place among the kernel's victims and in the cgroup tree.
absl::Status PrepareEnvironment(config::Config& config);

}  // namespace gantry
